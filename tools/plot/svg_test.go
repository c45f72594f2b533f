package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// A plot is well-formed, has every point once, and no label covers another.
func TestDraw(t *testing.T) {
	svg := string(draw("CPU", "readers", map[string][]point{
		"rtmp": {{10, 2}, {1000, 0.40}}, "whep": {{10, 3}, {1000, 0.41}}, "hls": {{10, 3}, {500, 1}},
	}))
	circles, labels := 0, map[string]bool{}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, _ := token.(xml.StartElement)
		switch at := map[string]string{}; start.Name.Local {
		case "circle":
			circles++
		case "text":
			for _, a := range start.Attr {
				at[a.Name.Local] = a.Value
			}
			if at["fill"] != "" {
				labels[at["y"]] = true
			}
		}
	}
	if circles != 6 || len(labels) != 3 {
		t.Errorf("%d points, labels at %d heights", circles, len(labels))
	}
}

func TestApart(t *testing.T) {
	got := apart([]label{{x: 500, y: 100}, {x: 500, y: 103}, {x: 200, y: 101}, {x: 500, y: 104}})
	at := map[float64]int{}
	for _, l := range got {
		at[l.y]++
	}
	if len(got) != 4 || at[100] != 1 || at[101] != 1 || at[114] != 1 || at[128] != 1 {
		t.Errorf("%+v", got)
	}
}
