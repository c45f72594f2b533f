package hls

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// listed is a media playlist as RFC 8216bis wants it read; parse fails the test
// where a rule is broken, and names its clause.
type listed struct {
	first    int               // media sequence
	uris     []string          // of closed segments
	seconds  []float64         // their lengths
	parts    map[string]string // URI of a part: its line
	hint     string
	lastPart string
}

var (
	attribute = regexp.MustCompile(`([A-Z0-9-]+)=("[^"]*"|[^",]+)(?:,|$)`)
	decimal   = regexp.MustCompile(`^\d+(\.\d+)?$`)
)

// attributes of a tag (§4.2): each once.
func attributes(t *testing.T, line string) map[string]string {
	t.Helper()
	_, list, _ := strings.Cut(line, ":")
	found, used := map[string]string{}, 0
	for _, m := range attribute.FindAllStringSubmatch(list, -1) {
		if _, twice := found[m[1]]; twice {
			t.Errorf("§4.2: %s twice in %s", m[1], line)
		}
		found[m[1]], used = strings.Trim(m[2], `"`), used+len(m[0])
	}
	if used != len(list) {
		t.Errorf("§4.2: no attribute list: %s", line)
	}
	return found
}

func seconds(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !decimal.MatchString(s) {
		t.Errorf("§4.2: %q is no decimal-floating-point", s)
	}
	return v
}

// parseByRules reads a media playlist line by line.
func parseByRules(t *testing.T, body string) *listed {
	t.Helper()
	l := &listed{parts: map[string]string{}}
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if lines[0] != "#EXTM3U" {
		t.Error("§4.4.1.1: the first line is", lines[0])
	}
	once := map[string]int{}
	var target, partTarget, length, inParts, hold float64
	var dated, end time.Time
	number, mapped, partsOf := -1, false, 0
	for i, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF",
			"#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-INDEPENDENT-SEGMENTS":
			if once[name]++; once[name] > 1 || len(l.uris)+len(l.parts) > 0 {
				t.Errorf("§4.1, §4.4.3: %s again, or behind a segment", name)
			}
		}
		switch name {
		case "#EXT-X-TARGETDURATION":
			target = seconds(t, value)
		case "#EXT-X-MEDIA-SEQUENCE":
			number, _ = strconv.Atoi(value)
			l.first = number
		case "#EXT-X-PART-INF":
			partTarget = seconds(t, attributes(t, line)["PART-TARGET"])
		case "#EXT-X-SERVER-CONTROL":
			a := attributes(t, line)
			hold = seconds(t, a["PART-HOLD-BACK"])
			if a["CAN-BLOCK-RELOAD"] != "YES" {
				t.Error("§4.4.3.8: no CAN-BLOCK-RELOAD")
			}
		case "#EXT-X-MAP":
			mapped = attributes(t, line)["URI"] != ""
		case "#EXT-X-PROGRAM-DATE-TIME":
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				t.Error("§4.4.4.6:", err)
			}
			if !end.IsZero() && at.Sub(end).Abs() > 2*time.Millisecond {
				t.Errorf("§4.4.4.6: the segment begins at %v, the one before ends at %v", at, end)
			}
			dated = at
		case "#EXT-X-PART":
			a := attributes(t, line)
			d := seconds(t, a["DURATION"])
			if partTarget == 0 || d > partTarget {
				t.Errorf("§4.4.4.9: a part of %g s, the target is %g", d, partTarget)
			}
			// The lead's and a segment's last part may be short.
			if next := lines[1:][i+1]; d < 0.85*partTarget && partsOf > 0 && strings.HasPrefix(next, "#EXT-X-PART:") {
				t.Errorf("§4.4.4.9: a part of %g s in the middle, the target is %g", d, partTarget)
			}
			if l.parts[a["URI"]] != "" {
				t.Error("§4.4.4.9: a part twice:", line)
			}
			l.parts[a["URI"]], l.lastPart = line, a["URI"]
			inParts, partsOf = inParts+d, partsOf+1
		case "#EXTINF":
			length = seconds(t, strings.TrimSuffix(value, ","))
			if math.Round(length) > target {
				t.Errorf("§4.4.3.1: a segment of %g s, the target is %g", length, target)
			}
			if partsOf > 0 && math.Abs(inParts-length) > 0.001*float64(partsOf) {
				t.Errorf("§4.4.4.9: parts of %g s make a segment of %g s", inParts, length)
			}
			inParts, partsOf = 0, 0
		case "#EXT-X-PRELOAD-HINT":
			a := attributes(t, line)
			if l.hint = a["URI"]; a["TYPE"] != "PART" || l.parts[l.hint] != "" {
				t.Error("§4.4.5.3: the hint is not of a part to come:", line)
			}
		case "#EXT-X-RENDITION-REPORT":
			a := attributes(t, line)
			if a["LAST-MSN"] == "" || a["LAST-PART"] == "" || strings.Contains(a["URI"], ":") {
				t.Error("§4.4.5.4:", line)
			}
		case "#EXT-X-VERSION", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-DISCONTINUITY":
		default:
			if strings.HasPrefix(line, "#") || line == "" || length == 0 || !mapped {
				t.Errorf("§4.1, §4.4.4.5: %q: unknown, or a segment without EXTINF or EXT-X-MAP", line)
			}
			l.uris, l.seconds = append(l.uris, line), append(l.seconds, length)
			end = dated.Add(time.Duration(length * float64(time.Second)))
			length = 0
		}
	}
	if target == 0 || once["#EXT-X-VERSION"] != 1 || number < 0 {
		t.Error("§4.4.3.1, §4.4.3.2: a tag is missing")
	}
	if hold < 2*partTarget {
		t.Errorf("§4.4.3.8: PART-HOLD-BACK %g for parts of %g s", hold, partTarget)
	}
	return l
}

// Every media playlist of a minute and a half, asked for part by part, keeps the
// rules of RFC 8216bis: within itself, and with the ones before (§6.2.1, §6.2.2):
// numbers rise with what was removed, nothing listed changes, and the part that was
// hinted at is the one that came.
func TestRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		r.publish()
		r.play(4 * time.Second)
		session := r.session()
		before := map[string]*listed{}
		lists := 0
		for range 450 {
			r.play(200 * time.Millisecond)
			synctest.Wait()
			for _, name := range []string{videoName, audioName} {
				w := r.get(session + name)
				l, old := parseByRules(t, w.Body.String()), before[name]
				lists++
				if old != nil {
					gone := l.first - old.first
					if gone < 0 || gone > len(old.uris) {
						t.Fatalf("§6.2.2: media sequence %d after %d", l.first, old.first)
					}
					for i, uri := range old.uris[gone:] {
						if l.uris[i] != uri || l.seconds[i] != old.seconds[i+gone] {
							t.Errorf("§6.2.1: segment %d was %s, is %s", l.first+i, uri, l.uris[i])
						}
					}
					for uri, line := range l.parts {
						if was := old.parts[uri]; was != "" && was != line {
							t.Errorf("§6.2.1: %q was %q", line, was)
						}
					}
					if l.lastPart != old.lastPart && l.parts[old.hint] == "" {
						t.Errorf("§4.4.5.3: %s was hinted at and never came", old.hint)
					}
				}
				before[name] = l
				if t.Failed() {
					t.Fatal(fmt.Sprintf("%s %d:\n", name, lists) + w.Body.String())
				}
			}
		}
		if l := before[videoName]; len(l.uris) < 25 || len(l.parts) < 20 {
			t.Errorf("%d segments, %d parts at the end", len(l.uris), len(l.parts))
		}
	})
}
