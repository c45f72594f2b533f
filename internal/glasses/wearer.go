package glasses

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"glimpse/protocol"
)

// help is what the wearer can type.
const help = `say TEXT             speak: "say stop stream"
button short|long    press the button
battery N            the glasses have N percent left
touch GESTURE        touch the temple: "touch double_tap"
head up|down         look up or down
notify TEXT          the phone gets a notification
location LAT LNG     the phone is there: "location 48.1 11.6"
wifi on|off          the glasses have Wi-Fi, or none for the next stream
drop DURATION        lose the network: "drop 5s"
start PACKAGE        start an app
stop PACKAGE         stop an app
help                 this list
quit                 take the glasses off`

// What the wearer does: a closed set.
type (
	say      struct{ text string }
	button   struct{ press string } // "short", "long"
	battery  struct{ level float64 }
	drop     struct{ d time.Duration }
	startApp struct{ pkg string }
	stopApp  struct{ pkg string }
	showHelp struct{}
	quit     struct{}
)

const maxDrop = 10 * time.Minute

var errUsage = errors.New("not understood")

// parseLine reads one typed line; nil means an empty one. Every error wraps
// errUsage and says what was expected.
func parseLine(line string) (any, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case word == "":
		return nil, nil
	case word == "help" && rest == "":
		return showHelp{}, nil
	case word == "quit" && rest == "":
		return quit{}, nil
	case word == "say" && rest != "":
		return say{rest}, nil
	case word == "button" && (rest == "short" || rest == "long"):
		return button{rest}, nil
	case word == "battery":
		if n, err := strconv.ParseFloat(rest, 64); err == nil && n >= 0 && n <= 100 {
			return battery{n}, nil
		}
		return nil, fmt.Errorf("%w: battery 0 to 100", errUsage)
	case word == "drop":
		if d, err := time.ParseDuration(rest); err == nil && d > 0 && d <= maxDrop {
			return drop{d}, nil
		}
		return nil, fmt.Errorf("%w: drop a duration of at most %v, for example: drop 5s", errUsage, maxDrop)
	case word == "start" && isPackage(rest):
		return startApp{rest}, nil
	case word == "stop" && isPackage(rest):
		return stopApp{rest}, nil
	}
	if act, err := parseHappening(word, rest); act != nil || err != nil {
		return act, err
	}
	return nil, fmt.Errorf("%w: %q", errUsage, line)
}

func isPackage(s string) bool { return s != "" && !strings.ContainsAny(s, " \t") }

// onLine does what the wearer typed.
func (g *Glasses) onLine(line string) {
	act, err := parseLine(line)
	if err != nil {
		g.screen.say("%v\n%s", err, help)
		return
	}
	switch a := act.(type) {
	case showHelp:
		g.screen.say("%s", help)
	case quit:
		g.quit(nil)
	case drop:
		g.screen.say("the network is lost for %v", a.d)
		g.net.drop(a.d)
	case battery:
		g.battery = &protocol.Battery{Level: a.level}
		g.battery.Type = protocol.TypeBattery
		g.fromWearer(g.battery)
	case say:
		g.fromWearer(protocol.Transcription{
			Envelope: protocol.Envelope{Type: protocol.TypeLocalTranscription, Timestamp: now()},
			Text:     a.text, IsFinal: true, TranscribeLanguage: "en-US", EndTime: 900,
		})
	case button:
		g.fromWearer(protocol.ButtonPress{
			Envelope: protocol.Envelope{Type: protocol.TypeButtonPress, Timestamp: now()},
			ButtonID: "camera", PressType: a.press,
		})
	case startApp:
		g.fromWearer(appCommand(protocol.TypeStartApp, a.pkg))
	case stopApp:
		g.fromWearer(appCommand(protocol.TypeStopApp, a.pkg))
	default:
		g.onHappening(act)
	}
}

func appCommand(kind, pkg string) protocol.AppCommand {
	return protocol.AppCommand{Envelope: protocol.Envelope{Type: kind, Timestamp: now()}, PackageName: pkg}
}

// fromWearer sends what only makes sense now.
func (g *Glasses) fromWearer(v any) {
	if !g.up {
		g.screen.say("not connected to the cloud")
		return
	}
	g.link.send(v)
}
