package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"sync"
	"time"

	"glimpse/protocol"
)

// Status is what the cloud says of a stream.
type Status struct {
	Managed  bool   // or direct
	State    string // protocol.StatusActive and its like
	StreamID string
	URLs     protocol.URLs   // of a managed stream
	Stats    *protocol.Stats // of a direct stream, when the glasses sent them
	Message  string          // for people: why it waits, or what went wrong
	Err      error           // an *Error when State is error or timeout
	Outputs  []protocol.Output
}

// Ended reports whether the stream is over.
func (st Status) Ended() bool {
	switch st.State {
	case protocol.StatusStopped, protocol.StatusError, protocol.StatusTimeout:
		return true
	}
	return false
}

// ManagedOptions of a stream that the cloud receives and publishes. The zero
// value is a good choice.
type ManagedOptions struct {
	Quality      string // "720p" or "1080p"; a preset over Video
	Video        *protocol.VideoConfig
	Audio        *protocol.AudioConfig
	Limit        time.Duration          // 0: none
	Destinations []protocol.Destination // to which the cloud sends it on
	Silent       bool                   // no start and stop sounds on the glasses
}

// DirectOptions of a stream that the glasses push to a server of yours.
type DirectOptions struct {
	Video  *protocol.VideoConfig
	Audio  *protocol.AudioConfig
	Limit  time.Duration // 0: none
	Silent bool          // no start and stop sounds on the glasses
}

// Stream is one of the app's streams, from the request to its end.
type Stream struct {
	session *Session
	managed bool
	feed    feed[Status]
	former  string        // id of the app's stream of this kind before it
	live    chan struct{} // closed at the first active
	ended   chan struct{} // closed at the end

	mu     sync.Mutex // held while feed gets a status, so that none is missed or doubled
	status Status
}

// StartManaged starts a managed stream, or joins the wearer's running one, and
// returns when it is active: its URLs answer. A stream that is refused, fails
// or takes longer than 30 s is an *Error; when it or ctx ends, nothing keeps
// running. An app has at most one managed stream per session.
func (s *Session) StartManaged(ctx context.Context, o ManagedOptions) (*Stream, error) {
	m := protocol.StreamRequest{
		Envelope: s.envelope(protocol.TypeManagedRequest), Quality: o.Quality, RestreamDestinations: o.Destinations,
	}
	yes := true
	m.EnableWebRTC = &yes
	return s.startStream(ctx, true, m, o.Video, o.Audio, o.Limit, o.Silent)
}

// StartDirect makes the glasses push to url (rtmp, rtmps, srt, or https for
// WHIP) and returns when they do. It needs the camera alone. Errors are those
// of StartManaged; ErrManagedActive says that a managed stream has the camera.
func (s *Session) StartDirect(ctx context.Context, url string, o DirectOptions) (*Stream, error) {
	m := protocol.StreamRequest{Envelope: s.envelope(protocol.TypeDirectRequest), StreamURL: url, RTMPURL: url}
	return s.startStream(ctx, false, m, o.Video, o.Audio, o.Limit, o.Silent)
}

func (s *Session) startStream(ctx context.Context, managed bool, m protocol.StreamRequest,
	video *protocol.VideoConfig, audio *protocol.AudioConfig, limit time.Duration, silent bool,
) (*Stream, error) {
	m.PackageName = s.app.cfg.Package
	if silent {
		m.Sound = new(bool)
	}
	var config *protocol.StreamConfig
	if limit > 0 {
		config = &protocol.StreamConfig{DurationLimit: limit.Seconds()}
	}
	for _, f := range []struct {
		to   *json.RawMessage
		from any
		set  bool
	}{{&m.Video, video, video != nil}, {&m.Audio, audio, audio != nil}, {&m.Stream, config, config != nil}} {
		if !f.set {
			continue
		}
		b, err := json.Marshal(f.from)
		if err != nil {
			return nil, fmt.Errorf("start stream: %w", err)
		}
		*f.to = b
	}
	st := &Stream{session: s, managed: managed, live: make(chan struct{}), ended: make(chan struct{})}
	if err := s.claim(st); err != nil {
		return nil, err
	}
	if err := s.send(ctx, m); err != nil {
		s.release(st)
		return nil, err
	}
	return st.await(ctx)
}

// claim makes st the app's stream of its kind, unless there is one.
func (s *Session) claim(st *Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot, name := &s.direct, "stream"
	if st.managed {
		slot, name = &s.managed, "managed stream"
	}
	if *slot != nil {
		return &Error{
			Code:    protocol.CodeCameraBusy,
			Message: "Already streaming. Stop the current " + name + " before starting a new one.",
		}
	}
	st.former = s.former[st.managed]
	*slot = st
	return nil
}

func (s *Session) release(st *Stream) {
	id := st.ID()
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != "" {
		s.former[st.managed] = id
	}
	if s.managed == st {
		s.managed = nil
	}
	if s.direct == st {
		s.direct = nil
	}
}

func (s *Session) streams() (list []*Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range []*Stream{s.managed, s.direct} {
		if st != nil {
			list = append(list, st)
		}
	}
	return list
}

// await waits until the stream is active. A start that is given up is stopped,
// so that nothing outlives it.
func (st *Stream) await(ctx context.Context) (*Stream, error) {
	t := time.NewTimer(managedWait)
	defer t.Stop()
	var err error
	select {
	case <-st.live:
		return st, nil
	case <-st.ended:
		return nil, st.failure()
	case <-st.session.over():
		return nil, context.Cause(st.session.life)
	case <-ctx.Done():
		err = ctx.Err()
	case <-t.C:
		text := "Stream request timeout"
		if st.managed {
			text = "Managed stream request timeout"
		}
		err = &Error{Code: protocol.CodeTimeout, Message: text}
	}
	st.session.release(st)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWait)
	defer cancel()
	_ = st.session.send(bounded, st.stopMessage())
	return nil, err
}

// failure is why the stream ended before it was active.
func (st *Stream) failure() error {
	status := st.Status()
	if status.Err != nil {
		return status.Err
	}
	text := "Stream failed"
	if st.managed {
		text = "Managed stream failed"
	}
	return refusal("", status.Message, text)
}

// onStatus hands a status to the stream that it means and to all who follow.
func (s *Session) onStatus(status Status) {
	s.mu.Lock()
	st := s.direct
	if status.Managed {
		st = s.managed
	}
	s.mu.Unlock()
	if st != nil && st.update(status) && status.Ended() {
		s.release(st)
		close(st.ended)
	}
	s.statuses.send(status)
}

// update takes a status over, unless it is a former stream's late one. It is
// called by the session's reader only.
func (st *Stream) update(status Status) bool {
	st.mu.Lock()
	if st.foreign(status) {
		st.mu.Unlock()
		return false
	}
	if status.StreamID == "" {
		status.StreamID = st.status.StreamID
	}
	if status.URLs == (protocol.URLs{}) {
		status.URLs = st.status.URLs
	}
	if status.Stats == nil {
		status.Stats = st.status.Stats
	}
	st.status = status
	st.feed.send(status)
	st.mu.Unlock()
	if status.State == protocol.StatusActive || status.State == protocol.StatusStreaming {
		select {
		case <-st.live:
		default:
			close(st.live)
		}
	}
	return true
}

// foreign says whether a status belongs to a former stream. Before the stream
// knows its id that is the end of the one before it; anything else with that id
// is its own, since a managed stream may be joined again. The caller holds mu.
func (st *Stream) foreign(status Status) bool {
	switch {
	case status.StreamID == "":
		return false
	case st.status.StreamID != "":
		return st.status.StreamID != status.StreamID
	}
	return status.StreamID == st.former && (status.Ended() || status.State == protocol.StatusStopping)
}

// ID is the stream's name at the cloud.
func (st *Stream) ID() string { return st.Status().StreamID }

// Status is the newest status.
func (st *Stream) Status() Status {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.status
}

// URLs are where a managed stream can be watched. They stay the same as long
// as it lives.
func (st *Stream) URLs() protocol.URLs { return st.Status().URLs }

// Statuses iterates over the stream's statuses, beginning with the newest. It
// ends after the stream's last one, and silently with ctx or the session.
func (st *Stream) Statuses(ctx context.Context) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		st.mu.Lock()
		r, newest := st.feed.add(), st.status
		st.mu.Unlock()
		defer st.feed.remove(r)
		if !yield(newest, nil) || newest.Ended() {
			return
		}
		st.feed.follow(ctx, r, st.session.over(), func(status Status, err error) bool {
			return yield(status, err) && !status.Ended()
		})
	}
}

// Stats are the glasses' newest statistics; nil when there are none yet. Those
// of a managed stream are asked for.
func (st *Stream) Stats(ctx context.Context) (*protocol.Stats, error) {
	if !st.managed {
		return st.Status().Stats, nil
	}
	info, err := st.session.CheckExisting(ctx)
	if err != nil || info == nil {
		return nil, err
	}
	return info.Stats, nil
}

// Stop ends the app's part in the stream and waits until the cloud says so; a
// managed stream goes on while other apps hold it. Stopping a stream that is
// over does nothing.
func (st *Stream) Stop(ctx context.Context) error {
	select {
	case <-st.ended:
		return nil
	default:
	}
	if err := st.session.send(ctx, st.stopMessage()); err != nil {
		return err
	}
	t := time.NewTimer(stopWait)
	defer t.Stop()
	select {
	case <-st.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-st.session.over():
		return context.Cause(st.session.life)
	case <-t.C:
		return &Error{Code: protocol.CodeTimeout, Message: "Stream stop timeout: the cloud did not answer"}
	}
}

func (st *Stream) stopMessage() protocol.StreamStop {
	kind := protocol.TypeDirectStop
	if st.managed {
		kind = protocol.TypeManagedStop
	}
	m := protocol.StreamStop{Envelope: st.session.envelope(kind), PackageName: st.session.app.cfg.Package}
	if !st.managed {
		m.StreamID = st.ID()
	}
	return m
}

func directStatus(m *protocol.DirectStatus) Status {
	st := Status{State: m.Status, StreamID: m.StreamID, Stats: m.Stats, Message: m.ErrorDetails}
	if st.Message == "" {
		st.Message = m.Message
	}
	return st.withError(m.Code, "Stream failed")
}

func managedStatus(m *protocol.ManagedStatus) Status {
	st := Status{
		Managed: true, State: m.Status, StreamID: m.StreamID, URLs: m.URLs, Message: m.Message, Outputs: m.Outputs,
	}
	if st.Message == "" {
		st.Message = m.ErrorDetails
	}
	return st.withError(m.Code, "Managed stream failed")
}

func (st Status) withError(code, fallback string) Status {
	switch st.State {
	case protocol.StatusTimeout:
		if code == "" {
			code = string(protocol.CodeTimeout)
		}
		fallthrough
	case protocol.StatusError:
		st.Err = refusal(code, st.Message, fallback)
	}
	return st
}
