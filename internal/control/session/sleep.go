package session

import (
	"slices"

	"glimpse/internal/control/apps"
)

// Apps of a session that ended because its phone stayed away sleep: the wearer
// did not stop them, so they start again with the wearer's next phone (WIRE
// c.1). They survive a restart.

// sleeping lists the packages that sleep for user.
func (r *Registry) sleeping(user string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asleep[user])
}

// sleepers are those of them that are still registered.
func (r *Registry) sleepers(user string) []apps.App {
	var found []apps.App
	for _, pkg := range r.sleeping(user) {
		if app, known := r.deps.Apps.App(pkg); known {
			found = append(found, app)
		}
	}
	return found
}

// letSleep notes what sleeps for user.
func (r *Registry) letSleep(user string, packages []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asleep[user] = packages
}

// unwanted takes a sleeping app off the list: it was stopped for user, or for
// everybody when user is empty.
func (r *Registry) unwanted(user, pkg string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for sleeper, packages := range r.asleep {
		if user != "" && user != sleeper || !slices.Contains(packages, pkg) {
			continue
		}
		var record *Record
		left := slices.DeleteFunc(slices.Clone(packages), func(p string) bool { return p == pkg })
		if r.asleep[sleeper] = left; len(left) > 0 {
			record = &Record{Asleep: left}
		} else {
			delete(r.asleep, sleeper)
		}
		if r.saver != nil && r.sessions[sleeper] == nil { // a session writes it by itself
			r.saver.put(sleeper, record)
		}
	}
}

// fallAsleep notes which apps the wearer's next phone is to start.
func (s *Session) fallAsleep() {
	var packages []string
	for pkg, a := range s.apps {
		if a.state != appStopping && !a.released {
			packages = append(packages, pkg)
		}
	}
	if len(packages) == 0 {
		return
	}
	slices.Sort(packages)
	s.memory.asleep, s.memory.dirty = true, true
	s.reg.letSleep(s.user, packages)
}

// wake starts what slept. sleepers were looked up before, since that may take a
// while; what was stopped meanwhile stays as it is.
func (s *Session) wake(sleepers []apps.App) {
	s.reg.mu.Lock()
	packages, slept := s.reg.asleep[s.user]
	delete(s.reg.asleep, s.user)
	s.reg.mu.Unlock()
	if !slept {
		return
	}
	s.memory.stored()
	for _, app := range sleepers {
		if !slices.Contains(packages, app.Package) {
			continue
		}
		if id, err := s.reg.bind(s.user, app.Package); err == nil {
			s.startApp(app, id, nil)
		}
	}
}
