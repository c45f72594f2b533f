package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"glimpse/internal/control/camera"
	"glimpse/internal/control/events"
	"glimpse/internal/control/store"
)

// Record is what survives of a wearer's session when the process ends, however
// it ends (CONTROL.md "What survives kill -9"). It holds stream keys.
type Record struct {
	Base   string       `json:"base"`  // address under which the wearer reaches us
	Phone  bool         `json:"phone"` // it is the phone's: one has been here
	Apps   []AppRecord  `json:"apps"`  // that are meant to run, ordered
	Camera camera.State `json:"camera"`

	Asleep []string `json:"asleep,omitempty"` // packages; the session itself is over then
}

// AppRecord is an app of a Record.
type AppRecord struct {
	Package string `json:"package"`
	Dialect int    `json:"dialect,omitempty"`
	From    int    `json:"from,omitempty"`  // the evidence for the dialect
	Asked   bool   `json:"asked,omitempty"` // by a webhook, and not here yet: who comes is a fresh process
}

// Store keeps records by user, as *store.Bucket[Record] does.
type Store interface {
	Put(ctx context.Context, user string, r Record) error
	Delete(ctx context.Context, user string) error
	All(ctx context.Context) ([]store.Item[Record], error)
}

// Restore brings back the sessions of the last process. Call it once, before
// the first socket is accepted: then keys are valid and URLs answer again, and
// apps and phones have their usual time to come back. Records that cannot be
// read are left out and named in the error, which comes beside the rest.
func (r *Registry) Restore(ctx context.Context) error {
	if r.deps.Store == nil {
		return nil
	}
	items, err := r.deps.Store.All(ctx)
	if err != nil {
		err = fmt.Errorf("read sessions: %w", err)
	}
	for _, item := range items {
		user, record := item.ID, item.Value
		if len(record.Asleep) > 0 {
			r.letSleep(user, record.Asleep)
			continue
		}
		var found []*appSession
		for _, rec := range record.Apps {
			app, known := r.deps.Apps.App(rec.Package)
			id, taken := r.bind(user, rec.Package)
			if known && taken == nil {
				found = append(found, &appSession{
					app: app, id: id, asked: rec.Asked, spelling: spelling{dialect(rec.Dialect), evidence(rec.From)},
				})
			}
		}
		_, failed := r.with(ctx, user, func(s *Session) error {
			s.restore(&record, found)
			return nil
		})
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("restore session: %w", failed))
		}
	}
	return err
}

// restore makes a new session the successor of a recorded one.
func (s *Session) restore(r *Record, found []*appSession) {
	now := time.Now()
	s.base = address{base: r.Base, phone: r.Phone}
	s.until = now.Add(s.reg.cfg.PhoneGrace)
	for _, a := range found { // the same process may come back by itself first
		a.state, a.deadline = appAway, now.Add(s.reg.cfg.AppHold)
		s.apps[a.app.Package] = a
	}
	s.needed() // apps without a phone need none
	s.camera = camera.Restore(r.Camera, s.reg.cfg.Camera, now)
	s.memory.stored()
	stream := s.camera.Stream
	if stream == nil {
		return
	}
	s.log.Info("stream restored", "stream", stream.ID, "kind", stream.Kind.String())
	s.news.Publish(events.Event{
		Type: events.StreamInterrupted, Stream: stream.ID, Kind: stream.Kind.String(), Message: "The server restarted",
	})
	if stream.Kind == camera.Managed {
		ids := camera.IDs{StreamID: stream.ID, IngestKey: stream.IngestKey, PlaybackID: stream.PlaybackID}
		if err := s.openIngest(ids); err != nil {
			s.log.Error("ingest cannot be opened", "stream", stream.ID, "error", err)
			s.step(camera.IngestFailed{StreamID: stream.ID, Reason: "ingest unavailable"})
			return
		}
	}
	for _, hold := range stream.Holds {
		if s.apps[hold.App] == nil { // removed meanwhile
			s.step(camera.AppLeft{App: hold.App})
		}
	}
	s.step(camera.Tick{}) // it sends the stream on
}

// memory is what the store was last given of a session.
type memory struct {
	last  []byte // JSON of the record; nil for none
	dirty bool   // something that is recorded may have changed
	keep  bool   // the record outlives the session

	asleep bool // the session ends, its apps sleep: all that is left to be stored
}

// stored notes that the store has a record which this session did not write: it
// is replaced or deleted whatever becomes of the session.
func (m *memory) stored() { m.last, m.dirty = []byte("by another"), true }

// remember gives the store the session's record when it has changed.
func (s *Session) remember() {
	if !s.memory.dirty || s.reg.saver == nil {
		return
	}
	s.memory.dirty = false
	record := s.record()
	var now []byte
	if record != nil {
		now = s.encode(record)
	}
	if bytes.Equal(now, s.memory.last) {
		return
	}
	s.memory.last = now
	s.reg.saver.put(s.user, record)
}

// record is what survives of the session now, nil for nothing.
func (s *Session) record() *Record {
	if s.memory.asleep {
		if packages := s.reg.sleeping(s.user); len(packages) > 0 {
			return &Record{Asleep: packages}
		}
		return nil
	}
	record := &Record{Base: s.base.base, Phone: s.base.phone, Camera: s.camera}
	for pkg, a := range s.apps {
		if a.state == appStopping || a.released {
			continue
		}
		record.Apps = append(record.Apps, AppRecord{
			Package: pkg, Dialect: int(a.spelling.dialect), From: int(a.spelling.from), Asked: a.asked,
		})
	}
	if len(record.Apps) == 0 && s.camera.Stream == nil {
		return nil
	}
	slices.SortFunc(record.Apps, func(a, b AppRecord) int { return strings.Compare(a.Package, b.Package) })
	return record
}
