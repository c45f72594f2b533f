package camera

import (
	"encoding/json"

	"glimpse/protocol"
)

// Absent is an app whose socket is gone, with the last status meant for it.
type Absent struct {
	App  string
	Last Effect // TellDirect or TellManaged; nil when there is none
}

// absentJSON is how an Absent is written: with the end of a hold, which nothing
// else remembers. Any other status follows from the hold itself.
type absentJSON struct {
	App     string       `json:"app"`
	Direct  *TellDirect  `json:"direct,omitempty"`
	Managed *TellManaged `json:"managed,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (a Absent) MarshalJSON() ([]byte, error) {
	w := absentJSON{App: a.App}
	switch e := a.Last.(type) {
	case TellDirect:
		if terminal(e.Status.Status) {
			w.Direct = &e
		}
	case TellManaged:
		if terminal(e.Status.Status) {
			w.Managed = &e
		}
	}
	return json.Marshal(w)
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Absent) UnmarshalJSON(b []byte) error {
	var r absentJSON
	if err := json.Unmarshal(b, &r); err != nil {
		return err
	}
	*a = Absent{App: r.App}
	switch {
	case r.Direct != nil:
		a.Last = *r.Direct
	case r.Managed != nil:
		a.Last = *r.Managed
	}
	return nil
}

// terminal says whether a status ends a hold.
func terminal(status string) bool {
	return status == protocol.StatusStopped || status == protocol.StatusError || status == protocol.StatusTimeout
}
