package server

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"

	"glimpse/internal/config"
	"glimpse/internal/control/api"
	"glimpse/internal/control/events"
	"glimpse/internal/media/cmaf"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/record"
)

// recordingConfig is what the recorder is told. The texts were checked.
func recordingConfig(cfg config.Config) record.Config {
	c := record.Config{Dir: cfg.Recording.Dir, Policy: record.Policy(cfg.Recording.Policy)}
	if c.Dir == "" {
		c.Dir = filepath.Join(cfg.DataDir, "recordings")
	}
	c.MaxAge = cfg.Recording.MaxAge
	c.MaxBytes, _ = config.Bytes(cfg.Recording.MaxSize)
	c.Quota, _ = config.Bytes(cfg.Recording.UserQuota)
	c.MinFree, _ = config.Percent(cfg.Recording.MinFree)
	return c
}

// recordings shows the recorder to the API.
type recordings struct {
	hub      *hub.Hub
	packs    *cmaf.Packager
	recorder *record.Recorder
}

var (
	_ api.Recordings = recordings{}
	_ api.Clips      = recordings{}
)

// recordingErrors are the recorder's in the API's words.
var recordingErrors = [...]struct{ from, to error }{
	{record.ErrUnknown, api.ErrRecordingUnknown},
	{record.ErrNever, api.ErrRecordingOff},
	{record.ErrQuota, api.ErrRecordingQuota},
	{record.ErrDiskFull, api.ErrRecordingDisk},
	{record.ErrBusy, api.ErrRecordingOpen},
	{record.ErrRange, api.ErrClipRange},
	{record.ErrTooLong, api.ErrClipTooLong},
	{record.ErrNotLive, api.ErrClipNotLive},
	{record.ErrMany, api.ErrClipMany},
}

func recordingError(err error) error {
	for _, e := range recordingErrors {
		if errors.Is(err, e.from) {
			return e.to
		}
	}
	return err
}

// List returns all recordings and clips.
func (m recordings) List() []api.Recording {
	var list []api.Recording
	for _, info := range m.recorder.Library().List() {
		list = append(list, recording(info))
	}
	return list
}

// recording is one of them in the API's words.
func recording(info record.Info) api.Recording {
	rec := api.Recording{
		ID: info.ID, Kind: string(info.Kind), Stream: info.Stream, Name: info.Name, Wearer: info.Wearer, App: info.By,
		Status: string(info.State), Duration: info.Duration, Bytes: info.Bytes, Video: info.Video, Width: info.Width, Height: info.Height,
		Sound: info.Sound, Problem: info.Problem, After: info.After, Key: info.Key,
	}
	started := info.Started.UTC()
	rec.Started = &started
	if info.State == record.Finished || info.State == record.Unfinished {
		ended := info.End().UTC()
		rec.Ended = &ended
	}
	for _, g := range info.Gaps {
		rec.Gaps = append(rec.Gaps, api.Gap{From: g.From, To: g.To, Reason: g.Reason})
	}
	return rec
}

// Policy is when a stream is recorded, and what is in progress.
func (m recordings) Policy(stream string) (policy string, now *api.Recording) {
	if info, ok := m.recorder.Current(stream); ok {
		rec := recording(info)
		now = &rec
	}
	return string(m.recorder.Policy(stream)), now
}

// Delete removes one.
func (m recordings) Delete(id string) error { return recordingError(m.recorder.Delete(id)) }

// Record starts or stops.
func (m recordings) Record(ctx context.Context, stream, by string, on bool) (*api.Recording, error) {
	if !on {
		info, ok, err := m.recorder.Stop(ctx, stream)
		if err != nil || !ok {
			return nil, recordingError(err)
		}
		rec := recording(info)
		return &rec, nil
	}
	s := m.hub.Stream(stream)
	if s == nil { // it has ended this moment
		return nil, api.ErrRecordingUnknown
	}
	info, ok, err := m.recorder.Start(ctx, s, by)
	if err != nil {
		return nil, recordingError(err)
	}
	if !ok {
		return &api.Recording{Kind: string(record.Recording), Stream: stream, Status: "waiting"}, nil
	}
	rec := recording(info)
	return &rec, nil
}

// Clip makes a clip.
func (m recordings) Clip(ctx context.Context, of api.ClipSpec) (api.Recording, error) {
	span := record.Span{Last: of.Last, From: of.From, To: of.To}
	var info record.Info
	var err error
	if of.Recording != "" {
		info, err = m.recorder.ClipRecording(ctx, of.Recording, span, of.By)
	} else if s := m.hub.Stream(of.Stream); s != nil {
		info, err = m.recorder.Clip(ctx, m.packs, s, span, of.By)
	} else {
		err = record.ErrNotLive
	}
	return recording(info), recordingError(err)
}

// Serve answers with a file.
func (m recordings) Serve(w http.ResponseWriter, r *http.Request, id string) {
	info, ok := m.recorder.Library().Get(id)
	if !ok {
		http.NotFound(w, r)
		return
	}
	m.recorder.ServeFile(w, r, info, true)
}

// recordingEvents are the recorder's in the API's words.
var recordingEvents = map[record.EventKind]events.Type{
	record.EventStarted: events.RecordingStarted, record.EventStopped: events.RecordingStopped,
	record.EventFailed: events.RecordingFailed, record.EventResumed: events.RecordingResumed,
	record.EventGap: events.RecordingGap, record.EventRecovered: events.RecordingRecovered,
	record.EventDeleted: events.RecordingDeleted, record.EventClipped: events.ClipMade,
}

// tellRecordings publishes what happens to recordings.
func tellRecordings(log *events.Log) func(record.Event) {
	return func(e record.Event) {
		log.Publish(events.Event{
			Type: recordingEvents[e.Kind], Wearer: e.Info.Wearer, Stream: e.Info.Stream, App: e.Info.By, Recording: e.Info.ID, Message: e.Reason,
		})
	}
}
