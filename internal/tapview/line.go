package tapview

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"glimpse/internal/control/tap"
)

// Colours of a terminal.
const (
	reset  = "\x1b[0m"
	dim    = "\x1b[2m"
	green  = "\x1b[32m" // an app speaks
	cyan   = "\x1b[36m" // glasses speak
	yellow = "\x1b[33m" // the cloud speaks
	red    = "\x1b[31m" // something ended or failed
)

// Widths of the columns, and of what is shown of a body.
const (
	wideWay     = 15 // "glasses → cloud"
	widePackage = 24
	wideType    = 28
	maxBody     = 160
)

// Line is an event as one line of text: time, direction, package, type, body,
// in columns. Nothing in it can steer a terminal except our own colours.
func Line(e *tap.Event, colour bool) string {
	typ, rest := e.Type, clean(string(e.Body))
	switch e.Kind {
	case tap.Message:
		if rest == "" && e.Size > 0 {
			rest = strconv.Itoa(e.Size) + " bytes"
		}
	case tap.Connect:
		typ = "⏵ connected"
	case tap.Close:
		typ, rest = "⏹ closed "+strconv.Itoa(e.Code), clean(e.Reason)
	case tap.Refused:
		typ, rest = "✗ refused", clean(e.Reason)
	case tap.Lost:
		typ, rest = "… lost", fmt.Sprintf("%d lines: this tap was too slow", e.Lost)
	}
	if r := []rune(rest); len(r) > maxBody {
		rest = string(r[:maxBody-1]) + "…"
	}
	way := ""
	if e.From != "" {
		way = clean(e.From) + " → " + clean(e.To)
	}
	time := e.Time.Local().Format("15:04:05.000")
	columns := column(way, wideWay) + "  " + column(clean(e.Package), widePackage) + "  " + column(clean(typ), wideType)
	if colour {
		return dim + time + reset + "  " + shade(e) + columns + reset + "  " + rest
	}
	return strings.TrimRight(time+"  "+columns+"  "+rest, " ")
}

// column pads a text, and shortens one that would break the table.
func column(s string, width int) string {
	r := []rune(s)
	if len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s + strings.Repeat(" ", width-len(r))
}

func shade(e *tap.Event) string {
	failed := strings.Contains(string(e.Body), `"status":"error"`) || strings.Contains(string(e.Body), `"status":"timeout"`)
	switch {
	case e.Kind == tap.Refused, e.Kind == tap.Lost, e.Kind == tap.Close, failed, strings.HasSuffix(e.Type, "_error"):
		return red
	case e.From == tap.App:
		return green
	case e.From == tap.Glasses:
		return cyan
	}
	return yellow
}

// clean takes out what could steer a terminal: strangers wrote the texts.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}
