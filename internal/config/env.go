package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// envPrefix starts the name of every variable: http.addr is GLIMPSE_HTTP_ADDR.
const envPrefix = "GLIMPSE_"

// overlay sets every field that has a variable in environ. A variable that is
// set and empty counts: it switches a listener off. Lists of words are separated
// by commas; other lists are YAML (or JSON). Variables that name no setting are
// left alone: commands have some of their own.
func overlay(cfg *Config, environ []string) error {
	vars := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, envPrefix) {
			vars[name] = value
		}
	}
	return overlayStruct(reflect.ValueOf(cfg).Elem(), strings.TrimSuffix(envPrefix, "_"), vars)
}

func overlayStruct(v reflect.Value, prefix string, vars map[string]string) error {
	for i := range v.NumField() {
		name := prefix + "_" + strings.ToUpper(v.Type().Field(i).Tag.Get("yaml"))
		field := v.Field(i)
		if field.Kind() == reflect.Struct {
			if err := overlayStruct(field, name, vars); err != nil {
				return err
			}
			continue
		}
		text, ok := vars[name]
		if !ok {
			continue
		}
		if err := setField(field, text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func setField(field reflect.Value, text string) error {
	if d, ok := field.Addr().Interface().(*time.Duration); ok {
		v, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("must be a time like 120ms")
		}
		*d = v
		return nil
	}
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("must be true or false")
		}
		field.SetBool(b)
	case reflect.Slice:
		if field.Type().Elem().Kind() == reflect.String {
			words := []string{}
			for word := range strings.SplitSeq(text, ",") {
				if word = strings.TrimSpace(word); word != "" {
					words = append(words, word)
				}
			}
			field.Set(reflect.ValueOf(words))
			return nil
		}
		list := reflect.New(field.Type())
		list.Elem().Set(reflect.MakeSlice(field.Type(), 0, 0))
		if err := decode([]byte(text), list.Interface()); err != nil {
			return err
		}
		field.Set(list.Elem())
	default:
		return fmt.Errorf("cannot be set from the environment")
	}
	return nil
}
