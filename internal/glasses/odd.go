package glasses

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"glimpse/protocol"
)

// What real glasses do at times, on demand.
type (
	fail     struct{ text string } // the stream ends with this error
	verbatim struct{ frame json.RawMessage }
	claim    struct{ id, status, text string } // a status; id "" is the current stream
)

// parseOdd reads their lines; nil means another line.
func parseOdd(word, rest string) (any, error) {
	switch word {
	case "fail":
		if rest != "" {
			return fail{rest}, nil
		}
		return nil, fmt.Errorf("%w: fail an error's text: fail camera_busy", errUsage)
	case "send":
		if json.Valid([]byte(rest)) {
			return verbatim{json.RawMessage(rest)}, nil
		}
		return nil, fmt.Errorf("%w: send a JSON text", errUsage)
	case "status":
		var c claim
		if strings.HasPrefix(rest, "@") {
			c.id, rest, _ = strings.Cut(rest[1:], " ")
			rest = strings.TrimSpace(rest)
		}
		c.status, c.text, _ = strings.Cut(rest, " ")
		if isStatus(c.status) {
			c.text = strings.TrimSpace(c.text)
			return c, nil
		}
		return nil, fmt.Errorf("%w: status [@ID] STATUS [TEXT]: status error camera_busy", errUsage)
	}
	return nil, nil
}

// onOdd does them.
func (g *Glasses) onOdd(act any) {
	switch a := act.(type) {
	case fail:
		if g.current == nil {
			g.screen.say("no stream that could fail")
			return
		}
		g.current.end(errors.New(a.text))
	case verbatim:
		g.fromWearer(a.frame)
	case claim:
		st := protocol.GlassesStatus{StreamID: a.id, Status: a.status}
		if a.id == "" && g.current != nil {
			st.StreamID = g.current.id
		}
		if a.status == protocol.StatusReconnecting {
			st.Attempt, st.MaxAttempts, st.Reason = 1, maxReconnects, a.text
		} else {
			st.ErrorDetails = a.text
		}
		g.fromGlasses(g.dressed(st))
	}
}
