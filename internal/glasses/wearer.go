package glasses

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"glimpse/protocol"
)

// Help lists the lines that the wearer can type.
func Help() string { return help }

const help = `What the wearer does:
  say TEXT                speak: "say stop stream"
  button short|long       press the button
  touch GESTURE           touch the temple: "touch double_tap"
  head up|down            look up or down
  voice on|off            somebody begins or ceases to speak
  photo                   take a photo
  battery N [charging]    the glasses have N percent left
  notify TEXT             the phone gets a notification
  location LAT LNG        the phone is there: "location 48.1 11.6"
  start|stop PACKAGE      start an app, or stop it
  quit                    take the glasses off
What happens to the connections, for a while or until "on":
  drop DURATION           everything is lost: "drop 5s"
  phone off [DURATION]    the phone's connection to the cloud; the stream goes on
  bluetooth off [DURATION]
                          between phone and glasses; the stream goes on
  wifi off [DURATION]     the glasses' Wi-Fi, and with it the stream
  media off [DURATION]    a Wi-Fi that leads nowhere
What real glasses do at times:
  names old|new           speak as old phones do: rtmp_stream_status
  ids off|on              leave the streamId out of statuses
  stats compact|off|full  statistics as they come over BLE, or none
  acks off|twice|DURATION|on
                          do not answer keep-alives, answer twice, or late
  stopped DURATION        tell so late that a replaced stream has stopped
  camera busy|free|WxH    another program has the camera; or its largest picture
  fail TEXT               the stream ends with this error
  status [@ID] STATUS [TEXT]
                          say this of a stream, true or not
  send JSON               send exactly this to the cloud
For scripts:
  wait DURATION           go on after this time
  wait STATUS             go on when the stream is streaming, reconnecting, stopped…,
                          or connected, start, stop, keepalive
  # TEXT                  a remark`

// What the wearer does: a closed set, with those of happening.go, odd.go,
// manners.go, reach.go and script.go.
type (
	say     struct{ text string }
	button  struct{ press string } // "short", "long"
	battery struct {
		level    float64
		charging bool
	}
	drop     struct{ d time.Duration }
	startApp struct{ pkg string }
	stopApp  struct{ pkg string }
	showHelp struct{}
	quit     struct{}
)

const maxDrop = 10 * time.Minute

var errUsage = errors.New("not understood")

// parseLine reads one typed line; nil means an empty one or a remark. Every error
// wraps errUsage and says what was expected.
func parseLine(line string) (any, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case word == "" || word[0] == '#':
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
		number, charging := strings.CutSuffix(rest, " charging")
		if n, err := strconv.ParseFloat(number, 64); err == nil && n >= 0 && n <= 100 {
			return battery{n, charging}, nil
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
	for _, parse := range []func(word, rest string) (any, error){parseHappening, parseRadio, parseManner, parseOdd, parseWait} {
		if act, err := parse(word, rest); act != nil || err != nil {
			return act, err
		}
	}
	return nil, fmt.Errorf("%w: %q", errUsage, line)
}

func isPackage(s string) bool { return s != "" && !strings.ContainsAny(s, " \t") }

// onAct does what a line says.
func (g *Glasses) onAct(act any) {
	switch a := act.(type) {
	case showHelp:
		g.screen.say("%s", help)
	case quit:
		g.quit(nil)
	case drop:
		g.screen.say("the network is lost for %v", g.lasting(a.d))
		g.net.drop(g.lasting(a.d))
		g.wifi.drop(g.lasting(a.d))
	case radio:
		g.onRadio(a)
	case manner:
		g.manners.take(a)
	case battery:
		g.body.battery = &protocol.Battery{Level: a.level, Charging: a.charging}
		g.body.battery.Type = protocol.TypeBattery
		g.fromGlasses(g.body.battery)
	case say:
		g.fromWearer(protocol.Transcription{
			Envelope: protocol.Envelope{Type: protocol.TypeLocalTranscription, Timestamp: now()},
			Text:     a.text, IsFinal: true, TranscribeLanguage: "en-US", EndTime: 900,
		})
	case button:
		g.fromGlasses(protocol.ButtonPress{
			Envelope: protocol.Envelope{Type: protocol.TypeButtonPress, Timestamp: now()},
			ButtonID: "camera", PressType: a.press,
		})
	case startApp:
		g.fromWearer(appCommand(protocol.TypeStartApp, a.pkg))
	case stopApp:
		g.fromWearer(appCommand(protocol.TypeStopApp, a.pkg))
	case fail, claim, verbatim:
		g.onOdd(a)
	default:
		g.onHappening(act)
	}
}

func appCommand(kind, pkg string) protocol.AppCommand {
	return protocol.AppCommand{Envelope: protocol.Envelope{Type: kind, Timestamp: now()}, PackageName: pkg}
}

// fromGlasses sends what the phone only knows by Bluetooth.
func (g *Glasses) fromGlasses(v any) {
	if g.body.far {
		g.screen.say("the phone does not hear the glasses")
		return
	}
	g.fromWearer(v)
}

// fromWearer sends what only makes sense now.
func (g *Glasses) fromWearer(v any) {
	if !g.up {
		g.screen.say("not connected to the cloud")
		return
	}
	g.link.send(v)
}
