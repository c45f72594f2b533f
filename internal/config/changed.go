package config

import "reflect"

// Changed returns the names of the settings, as they are in the file
// ("http.addr", "apps"), that have other values in other, in the order of the
// fields. Never a value: some are secrets.
func (c Config) Changed(other Config) []string {
	return changed(reflect.ValueOf(c), reflect.ValueOf(other), "")
}

func changed(a, b reflect.Value, prefix string) []string {
	var names []string
	for i := range a.NumField() {
		name := prefix + a.Type().Field(i).Tag.Get("yaml")
		if a.Field(i).Kind() == reflect.Struct {
			names = append(names, changed(a.Field(i), b.Field(i), name+".")...)
		} else if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			names = append(names, name)
		}
	}
	return names
}
