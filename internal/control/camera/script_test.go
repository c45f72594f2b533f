package camera

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"glimpse/internal/scripttest"
	"glimpse/protocol"
)

var update = flag.Bool("update", false, "write what happened into the scripts")

// TestScripts plays testdata/*.txt. A line at the margin is what happens, with
// its moment first; the indented lines below are every effect of it, and of the
// time that passed before it ("at 15s …"). Go test -update writes them.
//
// What can happen:
//
//	device ready|phone-gone|phone-back|glasses-gone|glasses-back|wifi-down|wifi-back|no-camera|new-phone
//	APP starts managed [quality=…] [video=JSON] [audio=JSON] [stream=JSON] [limit=S] [sound=off] [to=URL,…] [denied] [off]
//	APP starts direct URL [the same]
//	APP garbles managed|direct
//	APP stops managed|direct [ID]
//	APP leaves [REASON] | APP loses its socket | APP is back | APP is a new process
//	glasses say STATUS [id=ID|id=-] [fps=N] [why=TEXT]
//	glasses answer ID ACK | glasses answer always | glasses answer no more
//	media live | media lost [SILENT] | ingest fails REASON | viewers N
//	operator ends | session ends REASON | time passes | check | notes on | window DURATION
func TestScripts(t *testing.T) {
	scripttest.Run(t, *update, play)
}

// player plays one script.
type player struct {
	t       *testing.T
	state   State
	start   time.Time
	now     time.Time
	ids     int
	answers bool // glasses answer each keep-alive, which then is not shown
	notes   bool
	out     strings.Builder
}

func play(t *testing.T, script string) string {
	p := &player{t: t, state: New(DefaultTimes()), start: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	p.now = p.start
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, " "): // what happened last time
		case line == "", strings.HasPrefix(line, "#"):
			p.out.WriteString(line + "\n")
		default:
			p.directive(line)
		}
	}
	return p.out.String()
}

func (p *player) directive(line string) {
	words := fields(line)
	at, err := time.ParseDuration(words[0])
	if err != nil || p.start.Add(at).Before(p.now) {
		p.t.Fatalf("%q: bad moment", line)
	}
	p.out.WriteString(line + "\n")
	p.until(p.start.Add(at))
	words = words[1:]
	if words[0] == "window" {
		p.state.Times.ResumeWindow, _ = time.ParseDuration(words[1])
		return
	}
	switch what := strings.Join(words, " "); what {
	case "time passes":
	case "glasses answer always":
		p.answers = true
	case "glasses answer no more":
		p.answers = false
	case "notes on":
		p.notes = true
	case "check":
		p.check()
	default:
		p.step("    ", p.event(line, words))
	}
}

// until ticks as an actor would.
func (p *player) until(moment time.Time) {
	for {
		next := Next(p.state)
		if next.IsZero() || !next.Before(moment) {
			break
		}
		p.now = next
		p.step("    at "+p.now.Sub(p.start).String()+" ", Tick{})
	}
	p.now = moment
	p.step("    ", Tick{})
}

// step makes one step and looks at what must hold after each.
func (p *player) step(prefix string, e Event) {
	before, err := json.Marshal(p.state)
	if err != nil {
		p.t.Fatal(err)
	}
	old := p.state
	next, effects := Step(old, e, p.now)
	if after, _ := json.Marshal(old); !bytes.Equal(before, after) {
		p.t.Fatalf("%T changed the old state:\n%s\n%s", e, before, after)
	}
	if due := Next(next); !due.IsZero() && !due.After(p.now) {
		p.t.Fatalf("%T at %v: next %v is not later", e, p.now.Sub(p.start), due.Sub(p.start))
	}
	p.state = next
	for _, eff := range effects {
		k, keepAlive := eff.(KeepAlive)
		if s := p.show(eff); s != "" && !(keepAlive && p.answers) {
			p.out.WriteString(prefix + s + "\n")
		}
		if keepAlive && p.answers {
			p.step(prefix, KeepAliveAcked(k))
		}
	}
}

func (p *player) check() {
	info, playback := Check(p.state)
	if info == nil {
		p.out.WriteString("    no stream\n")
		return
	}
	b, err := json.Marshal(info)
	if err != nil {
		p.t.Fatal(err)
	}
	if playback != "" {
		playback = " urls=" + playback
	}
	fmt.Fprintf(&p.out, "    %s%s\n", b, playback)
}

// event reads the words of a directive.
func (p *player) event(line string, w []string) Event {
	id := ""
	if p.state.Stream != nil {
		id = p.state.Stream.ID
	}
	rest := func(n int) string { return strings.Join(w[min(n, len(w)):], " ") }
	switch {
	case w[0] == "device":
		return p.device(line, w[1])
	case w[0] == "glasses" && w[1] == "say":
		return said(id, w[2:])
	case w[0] == "glasses" && w[1] == "answer":
		return KeepAliveAcked{StreamID: w[2], AckID: w[3]}
	case w[0] == "media" && w[1] == "live":
		return MediaLive{StreamID: id}
	case w[0] == "media" && w[1] == "lost":
		silent, _ := time.ParseDuration(rest(2))
		return MediaLost{StreamID: id, Silent: silent}
	case w[0] == "ingest":
		return IngestFailed{StreamID: id, Reason: rest(2)}
	case w[0] == "viewers":
		n, _ := strconv.Atoi(w[1])
		return Viewers{StreamID: id, N: n}
	case w[0] == "output":
		return OutputSaid{StreamID: id, URL: w[1], Status: w[2], Error: rest(3)}
	case w[1] == "adds", w[1] == "removes", w[1] == "pauses", w[1] == "resumes":
		return p.outputChange(id, w)
	case w[0] == "operator":
		return OperatorEnded{StreamID: id}
	case w[0] == "session":
		return SessionEnded{Reason: rest(2)}
	case w[1] == "starts" && w[2] == "managed":
		e := StartManaged{App: w[0], Permitted: true, Running: true}
		p.options(line, w[3:], &e.Options, &e.Destinations, &e.Permitted, &e.Running)
		p.ids++
		n := strconv.Itoa(p.ids)
		e.IDs = IDs{StreamID: "m" + n, IngestKey: "key" + n, PlaybackID: "play" + n}
		return e
	case w[1] == "starts" && w[2] == "direct":
		e := StartDirect{App: w[0], Permitted: true, Running: true}
		if len(w) > 3 {
			e.URL = strings.Trim(w[3], `"`)
			p.options(line, w[4:], &e.Options, nil, &e.Permitted, &e.Running)
		}
		p.ids++
		e.IDs = IDs{StreamID: "s" + strconv.Itoa(p.ids)}
		return e
	case w[1] == "garbles":
		return Malformed{App: w[0], Kind: kindOf(w[2]), Text: "Malformed request"}
	case w[1] == "stops":
		return Stop{App: w[0], Kind: kindOf(w[2]), StreamID: rest(3)}
	case w[1] == "leaves":
		return AppLeft{App: w[0], Reason: rest(2)}
	case rest(1) == "loses its socket":
		return AppAway{App: w[0]}
	case rest(1) == "is back":
		return AppBack{App: w[0], SameProcess: true}
	case rest(1) == "is a new process":
		return AppBack{App: w[0]}
	}
	p.t.Fatalf("%q: what is that?", line)
	return nil
}

func kindOf(word string) Kind {
	if word == "managed" {
		return Managed
	}
	return Direct
}

func (p *player) device(line, word string) Event {
	d := p.state.Device
	d.NewPhone = false // said once
	switch word {
	case "ready":
		d = Device{PhoneUp: true, GlassesConnected: true, HasCamera: true}
	case "phone-gone":
		d.PhoneUp = false
	case "phone-back":
		d.PhoneUp = true
	case "glasses-gone":
		d.GlassesConnected = false
	case "glasses-back":
		d.GlassesConnected = true
	case "wifi-down", "wifi-back":
		d.WifiDown = word == "wifi-down"
	case "no-camera":
		d.HasCamera = false
	case "new-phone":
		d.PhoneUp, d.NewPhone = true, true
	default:
		p.t.Fatalf("%q: which device?", line)
	}
	return d
}

func (p *player) options(line string, words []string, o *Options, to *[]protocol.Destination, permitted, running *bool) {
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "quality":
			o.Quality = v
		case "video":
			o.Video = json.RawMessage(v)
		case "audio":
			o.Audio = json.RawMessage(v)
		case "stream":
			o.Stream = json.RawMessage(v)
		case "limit":
			o.Stream = json.RawMessage(`{"durationLimit":` + v + `}`)
		case "sound":
			o.Silent = v == "off"
		case "to":
			for u := range strings.SplitSeq(v, ",") {
				*to = append(*to, protocol.Destination{URL: u, Name: "dest"})
			}
		case "denied":
			*permitted = false
		case "off":
			*running = false
		default:
			p.t.Fatalf("%q: which option is %q?", line, k)
		}
	}
}

func said(id string, words []string) Event {
	e := GlassesSaid{StreamID: id, Status: words[0]}
	for i, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "id":
			e.StreamID = strings.TrimPrefix(v, "-")
		case "fps":
			fps, _ := strconv.ParseFloat(v, 64)
			e.Stats = &protocol.Stats{Bitrate: 2e6, FPS: fps, DroppedFrames: 3, Duration: 10}
		case "why":
			e.ErrorDetails = strings.Join(append([]string{v}, words[i+2:]...), " ")
			return e
		}
	}
	return e
}

// fields splits at spaces; JSON in the scripts has none.
func fields(line string) []string {
	line, _, _ = strings.Cut(line, "  #")
	return strings.Fields(line)
}

// outputChange shows a refusal before it is stepped.
func (p *player) outputChange(id string, w []string) Event {
	e := ChangeOutput{StreamID: id, App: w[0], Destination: protocol.Destination{URL: w[2]}}
	if e.App == "operator" {
		e.App = ""
	}
	e.Do = map[string]OutputAction{"adds": AddOutput, "removes": RemoveOutput, "pauses": PauseOutput, "resumes": ResumeOutput}[w[1]]
	if code, text := MayChange(p.state, e); code != "" {
		fmt.Fprintf(&p.out, "    refused: %s %q\n", code, text)
	}
	return e
}

// show is an effect in words.
func (p *player) show(e Effect) string {
	switch e := e.(type) {
	case TellDirect:
		s := e.Status
		out := fmt.Sprintf("%s: direct %s %s%s", e.App, s.Status, s.StreamID, words(string(s.Code), s.Message, s.ErrorDetails))
		if s.Stats != nil {
			out += fmt.Sprintf(" fps=%g", s.Stats.FPS)
		}
		if s.AppID != e.App {
			out += " appId=" + s.AppID
		}
		return out
	case TellManaged:
		s := e.Status
		out := fmt.Sprintf("%s: managed %s %s%s", e.App, s.Status, s.StreamID, words(string(s.Code), s.Message, s.ErrorDetails))
		if e.PlaybackID != "" {
			out += " urls=" + e.PlaybackID
		}
		for _, o := range s.Outputs {
			out += fmt.Sprintf(" [%s %s %q]", o.URL, o.Status, o.Error)
		}
		return out
	case StartGlasses:
		s := e.Start
		out := fmt.Sprintf("glasses: start %s app=%s", s.StreamID, s.AppID)
		if s.StreamURL != s.RTMPURL || !s.Flash || (s.StreamURL == "") == (e.IngestKey == "") {
			out += " WRONG"
		}
		out += " to=" + s.StreamURL + e.IngestKey
		for _, o := range []struct {
			name string
			raw  json.RawMessage
		}{{"video", s.Video}, {"audio", s.Audio}, {"stream", s.Stream}} {
			if o.raw != nil {
				out += " " + o.name + "=" + string(o.raw)
			}
		}
		if !s.Sound {
			out += " silent"
		}
		return out
	case StopGlasses:
		return strings.TrimSpace(fmt.Sprintf("glasses: stop %s %s", e.StreamID, e.AppID))
	case KeepAlive:
		return fmt.Sprintf("glasses: keep-alive %s %s", e.StreamID, e.AckID)
	case OpenIngest:
		return fmt.Sprintf("ingest: open %s %s %s for %s", e.IDs.StreamID, e.IDs.IngestKey, e.IDs.PlaybackID, e.App)
	case SetOutputs:
		out := "ingest: send on " + e.StreamID + " to"
		for _, o := range e.Outlets {
			out += " " + o.URL
			if o.Paused {
				out += "(paused)"
			}
		}
		return out
	case CloseIngest:
		return "ingest: close " + e.StreamID
	case Note:
		if !p.notes {
			return ""
		}
		out := []string{"note:", string(e.What), e.Kind.String(), e.StreamID, e.App, e.Status, string(e.Code)}
		out = slices.DeleteFunc(out, func(s string) bool { return s == "" })
		if e.Message != "" {
			out = append(out, strconv.Quote(e.Message))
		}
		return strings.Join(out, " ")
	}
	p.t.Fatalf("unknown effect %v", reflect.TypeOf(e))
	return ""
}

// words shows a text with its code. Failures must have it in both spellings.
func words(code, message, details string) string {
	out := ""
	if code != "" {
		out = " " + code
	}
	if message != "" {
		out += " " + strconv.Quote(message)
	}
	if details != "" && details != message {
		out += " details=" + strconv.Quote(details)
	}
	if (code != "") != (details != "") {
		out += " (no errorDetails)"
	}
	return out
}
