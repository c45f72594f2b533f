package tap

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what is shown of one message.
const (
	maxDepth = 32       // levels of a frame that is read at all
	maxItems = 64       // of an array or object
	maxText  = 256      // bytes of one string
	maxBody  = 16 << 10 // bytes of a body
)

// cut stands for what is left out.
const cut = "…"

// Types of frames that have no body to show.
const (
	Binary     = "(binary)"
	Unreadable = "(unreadable)"
)

var (
	// Names of fields whose values are never shown.
	secretName = regexp.MustCompile(`(?i)token|secret|passw|passphrase|passcode|authorization|credential|cookie|.key$|_key`)
	// An address anywhere in a text. Browsers and encoders read \ as /.
	address = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*:[/\\]{2}[^\s"'<>]*`)
	// "key: abc", "token=abc", "Bearer abc" in a text.
	spelled = regexp.MustCompile(`(?i)((?:(?:key|token|secret|passw(?:or)?d|passphrase|streamid)["']?\s*[=:]\s*|bearer\s+|\b(?:publish|read):))[^\s"'&,;]+`)
	// Words as long as no human writes them: keys, tokens, pictures.
	longWord = regexp.MustCompile(`[A-Za-z0-9_+/=-]{20,}`)
	// Names of fields as programs write them.
	camelCase = regexp.MustCompile(`^[a-z]{3,}(?:[A-Z][a-z]{2,13})+$`)
	// Ids that are made of long words and give no right.
	harmless = regexp.MustCompile(`^[a-z_]{0,24}[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// Redact reads a frame and returns its type and its JSON without secrets: no
// values of fields named like keys or tokens, no keys, queries or passwords of
// addresses, playback ids shortened, no long random words anywhere. Fields keep
// their order; long strings, arrays and objects are cut with "…". The type and
// the time, which Event tells, are left out. A frame that is no JSON object is
// Unreadable.
func Redact(frame []byte) (typ string, body json.RawMessage) {
	d := json.NewDecoder(bytes.NewReader(frame))
	d.UseNumber()
	r := redactor{in: d}
	if first, err := d.Token(); err != nil || first != json.Delim('{') || r.object(1) != nil {
		return Unreadable, nil
	}
	if _, err := d.Token(); err == nil { // more than one value
		return Unreadable, nil
	}
	if r.typ == "" {
		r.typ = Unreadable
	}
	if r.out.Len() > maxBody {
		return r.typ, json.RawMessage(`"` + cut + `"`)
	}
	return r.typ, r.out.Bytes()
}

// redactor copies tokens from in to out.
type redactor struct {
	in  *json.Decoder
	out bytes.Buffer
	typ string
}

// object copies the rest of an object whose bracket was read. Level 1 is the
// message itself.
func (r *redactor) object(level int) error {
	r.out.WriteByte('{')
	for n := 0; r.in.More(); {
		key, err := r.in.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		top := level == 1 && (name == "type" || name == "timestamp")
		mark := r.out.Len()
		if n > 0 {
			r.out.WriteByte(',')
		}
		r.text(name, "")
		r.out.WriteByte(':')
		value := r.out.Len()
		if err := r.value(level, name); err != nil {
			return err
		}
		if top && name == "type" {
			r.typ = shown(r.out.Bytes()[value:])
		}
		if top || n > maxItems {
			r.out.Truncate(mark)
			continue
		}
		if n++; n > maxItems {
			r.out.Truncate(mark)
			r.out.WriteString(`,"` + cut + `":"` + cut + `"`)
		}
	}
	r.out.WriteByte('}')
	_, err := r.in.Token()
	return err
}

// shown is a written string as text, "" for other values.
func shown(quoted []byte) (s string) {
	_ = json.Unmarshal(quoted, &s) // not a string: s stays empty
	return s
}

func (r *redactor) array(level int, name string) error {
	r.out.WriteByte('[')
	for n := 0; r.in.More(); n++ {
		mark := r.out.Len()
		if n > 0 {
			r.out.WriteByte(',')
		}
		if err := r.value(level, name); err != nil {
			return err
		}
		if n >= maxItems {
			r.out.Truncate(mark)
		}
		if n == maxItems {
			r.out.WriteString(`,"` + cut + `"`)
		}
	}
	r.out.WriteByte(']')
	_, err := r.in.Token()
	return err
}

// value copies the next value, which belongs to the field name.
func (r *redactor) value(level int, name string) error {
	token, err := r.in.Token()
	if err != nil {
		return err
	}
	if level >= maxDepth {
		if _, nested := token.(json.Delim); nested {
			return errDeep
		}
	}
	switch v := token.(type) {
	case json.Delim:
		if secretName.MatchString(name) { // what is inside is not shown either
			mark := r.out.Len()
			if err := r.nested(v, level, name); err != nil {
				return err
			}
			r.out.Truncate(mark)
			r.quote(cut)
			return nil
		}
		return r.nested(v, level, name)
	case string:
		r.text(v, name)
	case json.Number:
		if secretName.MatchString(name) || len(v) > 24 {
			r.quote(cut)
			return nil
		}
		r.out.WriteString(string(v))
	case bool:
		b, _ := json.Marshal(v)
		r.out.Write(b)
	case nil:
		r.out.WriteString("null")
	}
	return nil
}

func (r *redactor) nested(open json.Delim, level int, name string) error {
	if open == '{' {
		return r.object(level + 1)
	}
	return r.array(level+1, name)
}

// text writes a string of the field name, without secrets.
func (r *redactor) text(s, name string) {
	switch {
	case secretName.MatchString(name):
		s = cut
	case harmless.MatchString(s):
	default:
		s = Text(s)
	}
	r.quote(s)
}

func (r *redactor) quote(s string) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can always be written
	r.out.Write(bytes.TrimRight(b.Bytes(), "\n"))
}

// Text returns a text for humans without secrets, at most 256 bytes long.
func Text(s string) string {
	long := len(s) > 8*maxText
	if long { // what is not shown need not be searched
		s = s[:8*maxText]
		if i := strings.LastIndexAny(s, " \n\t"); i > 0 { // a word may have been cut to less than it was
			s = s[:i]
		} else {
			s = ""
		}
	}
	s = address.ReplaceAllStringFunc(s, Address)
	s = spelled.ReplaceAllString(s, "${1}"+cut)
	s = longWord.ReplaceAllStringFunc(s, func(word string) string {
		if plain(word) {
			return word
		}
		return cut
	})
	if len(s) > maxText {
		s, long = s[:maxText], true
		for !utf8.ValidString(s) && len(s) > 0 && len(s) > maxText-utf8.UTFMax {
			s = s[:len(s)-1]
		}
	}
	if long {
		s += cut
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// plain says whether a long word is one that people put together of short ones,
// such as managed_stream_status or restreamDestinations.
func plain(word string) bool {
	if camelCase.MatchString(word) {
		return true
	}
	for _, part := range strings.FieldsFunc(word, func(c rune) bool { return strings.ContainsRune("_-+/=", c) }) {
		if len(part) > 14 || strings.ToLower(part) != part || strings.ContainsAny(part, "0123456789") && len(part) > 4 {
			return false
		}
	}
	return true
}

// Names in playback paths that follow the playback id.
var playbackNames = []string{"index.m3u8", "index.mpd", "whep", "thumbnail.jpg", "status.json"}

// Address returns an address without what gives a right: user and password,
// query and fragment, and everything after the first part of the path. Of a
// playback id (http(s)://…/live/ID/…) four characters stay, so that two can be
// told apart.
func Address(raw string) string {
	u, err := url.Parse(strings.ReplaceAll(raw, `\`, "/"))
	if err != nil || u.Host == "" || u.Opaque != "" {
		scheme, _, _ := strings.Cut(raw, ":")
		return scheme + "://" + cut
	}
	s := strings.ToLower(u.Scheme) + "://" + hostOnly(u.Host)
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	web := u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "ws" || u.Scheme == "wss"
	switch {
	case web && len(parts) >= 2 && parts[0] == "live":
		s += "/live/" + shorten(parts[1])
		if len(parts) == 3 && slices.Contains(playbackNames, parts[2]) {
			s += "/" + parts[2]
		} else if len(parts) > 2 {
			s += "/" + cut
		}
	case web && len(parts) == 1 && (parts[0] == "app-ws" || parts[0] == "glasses-ws"):
		s += "/" + parts[0]
	case len(parts) >= 2 && len(parts[0]) <= 5:
		s += "/" + parts[0] + "/" + cut
	case parts[0] != "":
		s += "/" + cut
	}
	if u.RawQuery != "" {
		s += "?" + cut
	}
	return s
}

// hostOnly keeps names and addresses; a name as long as a key may be one.
func hostOnly(host string) string {
	for _, label := range strings.Split(host, ".") {
		if len(label) >= 20 && !plain(label) {
			return cut
		}
	}
	return host
}

// shorten leaves four characters of an id that is long enough to be random.
func shorten(id string) string {
	if len(id) < 16 || !utf8.ValidString(id) || strings.ContainsFunc(id, func(c rune) bool { return c > 126 || c < 33 }) {
		return cut
	}
	return id[:4] + cut
}

// errDeep says that a frame nests deeper than any message.
var errDeep = errors.New("frame nests too deep")
