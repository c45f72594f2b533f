package apps

import "glimpse/internal/control/auth"

// Reload gives the configured apps the API keys that they have in specs, which
// have been validated, and returns the packages whose key is another one now, in
// the order of specs. From then on only the new key opens a connection; those
// that are open stay. Nothing else changes: apps that are new, gone or different
// in other ways wait for a restart.
func (r *Registry) Reload(specs []Spec) []string {
	r.apps.Writes.Lock()
	defer r.apps.Writes.Unlock()
	var changed []string
	for _, spec := range specs {
		app, ok := r.App(spec.Package)
		if !ok || !app.FromConfig || auth.MatchKey(app.keyHash, spec.APIKey) {
			continue
		}
		app.keyHash = auth.HashKey(spec.APIKey)
		r.apps.Set(spec.Package, app)
		changed = append(changed, spec.Package)
	}
	return changed
}
