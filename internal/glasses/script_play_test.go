package glasses

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/internal/control/session"
	"glimpse/internal/scripttest"
)

var update = flag.Bool("update", false, "write what happened into the scripts")

// TestScripts plays testdata/*.txt: what is typed at the glasses, and what the
// apps on the other side of the cloud hear of it. A line at the margin is what
// happens, with its moment first; the indented lines below are everything that
// was heard until the next one. Go test -update writes them.
//
// What can happen:
//
//	glasses LINE                        as it can be typed
//	APP comes [old|new]                 app a or b; the spelling of its direct requests
//	APP listens STREAM,STREAM…          subscribes
//	APP starts managed | APP starts direct [JSON of more fields]
//	APP stops managed|direct
//	APP looks                           shows the statistics of its next status
//	time passes
//
// A25 A26 A54 C57
func TestScripts(t *testing.T) {
	film := clipSource(t)
	scripttest.Run(t, *update, func(t *testing.T, script string) (got string) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, film)
			defer w.close()
			got = w.play(script)
		})
		return got
	})
}

func (w *world) play(script string) string {
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, " "): // what was heard last time
		case line == "", strings.HasPrefix(line, "#"):
			out.WriteString(line + "\n")
		default:
			moment, what, _ := strings.Cut(line, " ")
			at, err := time.ParseDuration(moment)
			if err != nil || time.Since(w.began) > at {
				w.t.Fatalf("%q: bad moment", line)
			}
			time.Sleep(at - time.Since(w.began))
			out.WriteString(w.told() + line + "\n")
			w.happens(line, what)
			out.WriteString(w.told())
		}
	}
	return out.String()
}

// happens does what a line says.
func (w *world) happens(line, what string) {
	who, does, _ := strings.Cut(what, " ")
	switch {
	case what == "time passes":
		return
	case who == "glasses":
		if _, err := parseLine(does); err != nil {
			w.t.Fatalf("%q: %v", line, err)
		}
		w.lines <- does
		return
	case strings.HasPrefix(does, "comes"):
		w.comes(who)
		return
	}
	a := w.apps[who]
	if a == nil {
		w.t.Fatalf("%q: who is that?", line)
	}
	verb, object, _ := strings.Cut(does, " ")
	kind, more, _ := strings.Cut(object, " ")
	switch verb + " " + kind {
	case "starts managed":
		a.say(`{"type":"managed_stream_request"}`)
	case "stops managed":
		a.say(`{"type":"managed_stream_stop"}`)
	case "starts direct":
		a.say(`{"type":"rtmp_stream_request","rtmpUrl":"rtmp://host/live/key"` + more + `}`)
	case "starts new-direct":
		a.say(`{"type":"stream_request","streamUrl":"rtmp://host/live/key"` + more + `}`)
	case "stops direct":
		a.say(`{"type":"rtmp_stream_stop"}`)
	case "looks ":
		a.stats = true
	default:
		if verb != "listens" {
			w.t.Fatalf("%q: what is that?", line)
		}
		a.say(fmt.Sprintf(`{"type":"subscription_update","subscriptions":["%s"]}`, strings.ReplaceAll(object, ",", `","`)))
	}
}

// comes starts an app from the phone and answers the webhook.
func (w *world) comes(name string) {
	w.lines <- "start " + name
	synctest.Wait()
	a := &scriptApp{w: w, name: name}
	link, err := w.reg.AttachApp(w.t.Context(), session.AppHello{SessionID: w.requests[name].SessionID, Package: name}, a)
	if err != nil {
		w.t.Fatal(err)
	}
	a.link = link
	w.apps[name] = a
	synctest.Wait()
}

// say is a message of an app.
func (a *scriptApp) say(frame string) {
	if err := a.link.Receive(a.w.t.Context(), []byte(frame)); err != nil {
		a.w.note(a.name, "cannot say that: "+err.Error())
	}
	synctest.Wait()
}
