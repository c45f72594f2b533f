package glasses

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"glimpse/protocol"
)

// The colours of the screen, used on a terminal only.
const (
	colourReset = "\x1b[0m"
	colourText  = "\x1b[36m"
	colourLive  = "\x1b[31m"
	colourDim   = "\x1b[2m"
)

const (
	screenWidth = 44      // columns of text on the glasses
	maxText     = 4 << 10 // runes of one layout that are shown
)

// screen is what the wearer sees and hears, as lines of text. It is safe for
// concurrent use; a broken output is ignored, as glasses nobody looks at.
type screen struct {
	mu     sync.Mutex
	out    io.Writer
	colour bool
}

// IsTerminal reports whether colours are welcome: out is a terminal and
// NO_COLOR (no-color.org) is not set.
func IsTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// say prints a line about the glasses themselves.
func (s *screen) say(format string, args ...any) {
	s.print(colourDim, clean(fmt.Sprintf(format, args...)))
}

// light switches the recording light, and plays its sound if there is to be one.
func (s *screen) light(on, sound bool) {
	text := "○ recording light off"
	note := "♪ stop sound"
	if on {
		text, note = "● recording light on", "♪ start sound"
	}
	if sound {
		text += "  " + note
	}
	s.print(colourLive, text)
}

func (s *screen) print(colour, text string) {
	if s.colour {
		text = colour + text + colourReset
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.out, text)
}

// show prints a layout as a box, or a line where there is nothing to read.
func (s *screen) show(d *protocol.Display) {
	var l struct {
		LayoutType                                                  string
		Text, TopText, BottomText, Title, LeftText, RightText, Data string
	}
	if json.Unmarshal(d.Layout, &l) != nil {
		s.say("the app sent a layout that cannot be read")
		return
	}
	switch l.LayoutType {
	case "text_wall":
		s.box(l.Text)
	case "double_text_wall":
		s.box(l.TopText, l.BottomText)
	case "reference_card":
		s.box(l.Title, l.Text)
	case "dashboard_card":
		s.box(l.LeftText, l.RightText)
	case "bitmap_view", "bitmap_animation":
		s.box(fmt.Sprintf("[picture, %d bytes]", len(d.Layout)))
	case "clear_view":
		s.say("(display cleared)")
	default:
		s.say("(layout %s)", l.LayoutType)
	}
}

// box frames texts, one below the other with a line between them.
func (s *screen) box(texts ...string) {
	var b strings.Builder
	b.WriteString("┌" + strings.Repeat("─", screenWidth+2) + "┐\n")
	for i, t := range texts {
		if i > 0 {
			b.WriteString("├" + strings.Repeat("─", screenWidth+2) + "┤\n")
		}
		for _, line := range wrap(clean(t), screenWidth) {
			b.WriteString("│ " + line + strings.Repeat(" ", max(0, screenWidth-columns(line))) + " │\n")
		}
	}
	b.WriteString("└" + strings.Repeat("─", screenWidth+2) + "┘")
	s.print(colourText, b.String())
}

// clean bounds a stranger's text and takes out what would steer a terminal.
func clean(text string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > maxText || r != '\n' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}

// wrap breaks text into lines of at most width columns, at spaces where it can.
func wrap(text string, width int) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		for columns(line) > width {
			cut, used := 0, 0
			for i, r := range line {
				if used += runeColumns(r); used > width {
					break
				}
				cut = i + len(string(r))
			}
			next := cut
			if space := strings.LastIndexByte(line[:cut+1], ' '); space > 0 {
				cut, next = space, space+1
			}
			lines = append(lines, line[:cut])
			line = line[next:]
		}
		lines = append(lines, line)
	}
	return lines
}

func columns(s string) (n int) {
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns is how wide a terminal draws a rune: pictures and East Asian
// letters take two columns, joiners and accents none.
func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3,
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60,
		r >= 0x1f300 && r <= 0x1faff, r == 0x231b, r == 0x23f3, r == 0x274c:
		return 2
	}
	return 1
}
