package session

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/control/apps"
	"glimpse/internal/scripttest"
	"glimpse/protocol"
)

var update = flag.Bool("update", false, "write what happened into the scripts")

// TestScripts plays testdata/*.txt: what peers hear on their sockets. A line at
// the margin is what happens, with its moment first; the indented lines below
// are every message, webhook and close until the next one. Ids are numbered as
// they appear. Go test -update writes them.
//
// What can happen (PEER is phone or an app, whose package is com.x.PEER):
//
//	phone connects | glasses connected|disconnected | glasses without wifi
//	PEER connects [as mini] | PEER is refused | PEER drops | PEER sends JSON
//	servers answer after D | servers are down | servers are up | servers refuse
//	media live | media lost | server stops | server is killed
//	operator stops PEER | operator ends the stream | time passes
func TestScripts(t *testing.T) {
	scripttest.Run(t, *update, func(t *testing.T, script string) (got string) {
		inWorld(t, func(t *testing.T, w *world) { got = newStage(t, w).play(script) })
		return got
	})
}

// heard is a line of what happened.
type heard struct {
	at   time.Time
	peer string
	line string
}

// stage plays one script.
type stage struct {
	t       *testing.T
	w       *world
	start   time.Time
	restart func(kill bool)
	out     strings.Builder

	links map[string]link // by peer

	mu    sync.Mutex // guards what follows: sockets and webhooks tell
	heard []heard
	names map[string]string // of ids
	delay time.Duration     // of app servers
	fail  error             // of app servers
}

// link is a peer's socket.
type link interface {
	receiver
	Gone(ctx context.Context)
}

// scriptSocket tells the stage what its peer hears.
type scriptSocket struct {
	stage *stage
	peer  string
	gone  bool // the peer hears no more; guarded by stage.mu
}

func (s *scriptSocket) Send(frame []byte) {
	var m map[string]any
	if err := json.Unmarshal(frame, &m); err != nil {
		panic(err)
	}
	s.tell(func() string { return s.stage.show(m) })
}
func (s *scriptSocket) Offer(frame []byte) { s.Send(frame) }
func (s *scriptSocket) SendBinary(b []byte) {
	s.tell(func() string { return fmt.Sprintf("%d bytes", len(b)) })
}

func (s *scriptSocket) Close(code int, reason string) {
	s.tell(func() string { s.gone = true; return fmt.Sprintf("closed %d %q", code, reason) })
}

func (s *scriptSocket) tell(line func() string) {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	if !s.gone {
		s.stage.heard = append(s.stage.heard, heard{time.Now(), s.peer, line()})
	}
}

func newStage(t *testing.T, w *world) *stage {
	s := &stage{t: t, w: w, start: time.Now(), links: map[string]link{}, names: map[string]string{}}
	w.hooks.onStart = func(ctx context.Context, req protocol.SessionRequest) error {
		return s.webhook(ctx, req.SessionID, "session_request")
	}
	w.hooks.onStop = func(ctx context.Context, req protocol.StopRequest) error {
		return s.webhook(ctx, req.SessionID, "stop_request "+req.Reason)
	}
	s.restart = w.remembering()
	return s
}

func (s *stage) webhook(ctx context.Context, id, what string) error {
	s.mu.Lock()
	peer := strings.TrimPrefix(id, wearer+"-com.x.")
	s.heard = append(s.heard, heard{time.Now(), peer, "webhook " + what})
	delay, fail := s.delay, s.fail
	s.mu.Unlock()
	select {
	case <-time.After(delay):
		return fail
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *stage) play(script string) string {
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, " "): // what happened last time
		case line == "", strings.HasPrefix(line, "#"):
			s.out.WriteString(line + "\n")
		default:
			s.directive(line)
		}
	}
	return s.out.String()
}

func (s *stage) directive(line string) {
	moment, what, _ := strings.Cut(line, " ")
	at, err := time.ParseDuration(moment)
	if err != nil || s.start.Add(at).Before(time.Now()) {
		s.t.Fatalf("%q: bad moment", line)
	}
	time.Sleep(time.Until(s.start.Add(at)))
	synctest.Wait()
	s.tell()
	s.out.WriteString(line + "\n")
	s.happen(line, strings.Fields(what), what)
	synctest.Wait()
	s.tell()
}

// tell writes what was heard; what comes later than the directive has its
// moment. Peers who hear something at the same time have no order: theirs is by
// name.
func (s *stage) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.heard, func(a, b heard) int {
		if d := a.at.Compare(b.at); d != 0 {
			return d
		}
		return strings.Compare(a.peer, b.peer)
	})
	for _, h := range s.heard {
		late := ""
		if !h.at.Equal(time.Now()) {
			late = "at " + h.at.Sub(s.start).String() + " "
		}
		s.out.WriteString("    " + late + h.peer + ": " + h.line + "\n")
	}
	s.heard = nil
}

func (s *stage) happen(line string, words []string, what string) {
	peer := words[0]
	pkg := "com.x." + peer
	switch rest := strings.Join(words[1:], " "); {
	case what == "phone connects":
		l, err := s.w.reg.AttachPhone(s.w.ctx, wearer, base, &scriptSocket{stage: s, peer: "phone"})
		s.attached(peer, l, err)
	case peer == "glasses":
		frame := `{"type":"glasses_connection_state","modelName":"Mentra Live","status":"CONNECTED","wifi":{"connected":true}}`
		if rest == "disconnected" {
			frame = strings.Replace(frame, "CONNECTED", "DISCONNECTED", 1)
		} else if rest == "without wifi" {
			frame = strings.Replace(frame, "true", "false", 1)
		}
		s.send("phone", frame)
	case rest == "connects", rest == "connects as mini", rest == "is refused":
		socket := &scriptSocket{stage: s, peer: peer}
		l, err := s.w.reg.AttachApp(s.w.ctx, AppHello{SessionID: wearer + "-" + pkg, Package: pkg, Mini: len(words) > 2 && words[2] == "as"}, socket)
		if refusal := (*Refusal)(nil); rest == "is refused" && errors.As(err, &refusal) {
			s.out.WriteString("    " + peer + ": refused " + refusal.Error() + "\n")
			return
		}
		s.attached(peer, l, err)
	case rest == "drops":
		s.links[peer].Gone(s.w.ctx)
		delete(s.links, peer)
	case words[1] == "sends":
		s.send(peer, s.real(strings.TrimPrefix(rest, "sends ")))
	case peer == "servers":
		s.servers(line, rest)
	case peer == "media":
		s.w.streams.only(s.t).Notify(MediaEvent{State: map[string]MediaState{"live": MediaLive, "lost": MediaLost}[words[1]]})
	case peer == "server":
		kill := rest == "is killed"
		for _, l := range s.links {
			if kill { // its peers hear of no close
				l.(interface{ mute() }).mute()
			}
		}
		clear(s.links)
		s.restart(kill)
	case peer == "operator" && words[1] == "stops":
		if err := s.w.reg.StopApp(s.w.ctx, wearer, "com.x."+words[2]); err != nil {
			s.t.Error(err)
		}
	case what == "operator ends the stream":
		if err := s.w.reg.EndStream(s.w.ctx, wearer, s.w.streams.only(s.t).StreamID); err != nil {
			s.t.Error(err)
		}
	case what == "time passes":
	default:
		s.t.Fatalf("%q: what is that?", line)
	}
}

func (s *stage) attached(peer string, l link, err error) {
	if err != nil {
		s.t.Fatalf("%s: %v", peer, err)
	}
	s.links[peer] = l
}

// mute makes a peer deaf: its process of ours is gone, whatever it still says.
func (l *AppLink) mute()   { l.socket.(*scriptSocket).mute() }
func (l *PhoneLink) mute() { l.socket.(*scriptSocket).mute() }

func (s *scriptSocket) mute() {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	s.gone = true
}

func (s *stage) send(peer, frame string) {
	l := s.links[peer]
	if l == nil {
		s.t.Fatalf("%s is not connected", peer)
	}
	if err := l.Receive(s.w.ctx, []byte(frame)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) servers(line, how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case how == "are up":
		s.fail, s.delay = nil, 0
	case how == "are down":
		s.fail = fmt.Errorf("dial: %w", apps.ErrUnreachable)
	case how == "refuse":
		s.fail = errors.New("500")
	case strings.HasPrefix(how, "answer after "):
		var err error
		if s.delay, err = time.ParseDuration(strings.TrimPrefix(how, "answer after ")); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
	default:
		s.t.Fatalf("%q: what do they?", line)
	}
}

// bulky messages are shown by their type alone, bulky fields not at all.
var (
	bulky  = []string{"connection_ack", "app_state_change", "microphone_state_change"}
	hidden = []string{
		"type", "sessionId", "timestamp", "settings", "mentraosSettings", "augmentosSettings", "capabilities", "userSession",
		"rtmpUrl", "dashUrl", "webrtcUrl", "previewUrl", "thumbnailUrl", "flash", "createdAt",
	}
)

// show is a message in words, with its ids numbered. The caller holds mu.
func (s *stage) show(m map[string]any) string {
	typ, _ := m["type"].(string)
	if slices.Contains(bulky, typ) {
		return typ
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if slices.Contains(hidden, key) || (key == "errorDetails" && m[key] == m["message"]) {
			continue
		}
		raw, err := json.Marshal(m[key])
		if err != nil {
			panic(err)
		}
		value := s.numbered(key, string(raw))
		if !strings.ContainsAny(value, " ,") {
			value = strings.Trim(value, `"`)
		}
		parts = append(parts, key+"="+value)
	}
	return strings.Join(append([]string{typ}, parts...), " ")
}

// numbered replaces random ids by numbers in order of appearance.
func (s *stage) numbered(key, value string) string {
	name := func(id, kind string) string {
		if s.names[id] == "" {
			s.names[id] = kind + strconv.Itoa(1+len(slices.DeleteFunc(slices.Collect(maps.Values(s.names)), func(n string) bool {
				return !strings.HasPrefix(n, kind)
			})))
		}
		return s.names[id]
	}
	switch {
	case key == "streamId":
		if id := strings.Trim(value, `"`); len(id) >= 8 { // one of ours
			return name(id, "s")
		}
	case key == "streamUrl" && strings.HasPrefix(value, `"rtmp://cloud.example/live/`):
		return "ingest:" + name(strings.Trim(strings.TrimPrefix(value, `"rtmp://cloud.example/live/`), `"`), "key")
	case key == "hlsUrl":
		id := strings.Split(value, "/")[4]
		return strings.ReplaceAll(value, id, name(id, "play"))
	}
	for id, name := range s.names { // inside of something greater
		value = strings.ReplaceAll(value, id, name)
	}
	return value
}

// real puts the ids back for their numbers: "$s1" is the first stream.
func (s *stage) real(frame string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, name := range s.names {
		frame = strings.ReplaceAll(frame, `"$`+name+`"`, `"`+id+`"`)
	}
	return frame
}
