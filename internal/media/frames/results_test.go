package frames

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"glimpse/protocol"
)

// told reads what is there for a reader.
func told(t *testing.T, r *Reader) (list []map[string]any) {
	t.Helper()
	messages, _ := r.take()
	for _, m := range messages {
		var v map[string]any
		if err := json.Unmarshal(m, &v); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		list = append(list, v)
	}
	return list
}

func (s *studio) read(t *testing.T) *Reader {
	t.Helper()
	r, err := s.Read(s.stream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// A result is completed with what the server knows of its picture; an empty one is
// told too, and whoever comes within 3 s.
func TestResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, Config{Decoder: newEasel()})
		s.live(t)
		r := s.read(t)
		begin := told(t, r)
		if begin[0]["type"] != "hello" || begin[0]["epoch"].(float64) < 1 || begin[0]["source_width"] != 1280.0 {
			t.Fatalf("%v", begin)
		}
		run := s.stream.Run()
		time.Sleep(2 * time.Second)
		const pts = 27066666667 * time.Nanosecond / 20
		body := fmt.Sprintf(`{"type":"detections","pts_ms":%v,"app":"liar","seq":99,"dropped":9,"detections":[{"track":3,"class_id":16,"class_name":"dog","confidence":0.5,"bbox":[10,20,30,60]}]}`, millis(pts))
		if err := s.Post(s.stream, "com.example.detector", []byte(body)); err != nil {
			t.Fatal(err)
		}
		list := told(t, r)
		if len(list) != 1 {
			t.Fatalf("%v", list)
		}
		got := list[0]
		box := got["detections"].([]any)[0].(map[string]any)
		rtp := run.RTPBase() + uint32((pts*90000+time.Second/2)/time.Second)
		if got["app"] != "com.example.detector" || got["epoch"] != begin[0]["epoch"] || got["seq"] != 1.0 || got["pts_ms"] != millis(pts) ||
			got["rtp_ts"] != float64(rtp) || got["wall_ms"] != unixMillis(run.Start().Add(pts)) || got["width"] != 1280.0 || got["dropped"] != nil ||
			box["center_x"] != 20.0 || box["center_y"] != 40.0 || got["age_ms"].(float64) < 600 || got["age_ms"].(float64) > 700 {
			t.Errorf("%v", got)
		}
		time.Sleep(time.Second)
		if err := s.Post(s.stream, "com.example.detector", []byte(`[{"pts_ms":2000},{"type":"status","state":"running","model":"m"}]`)); err != nil {
			t.Fatal(err)
		}
		if list := told(t, r); len(list) != 2 || list[0]["detections"] == nil || len(list[0]["detections"].([]any)) != 0 || list[1]["state"] != "running" {
			t.Errorf("%v", list)
		}
		time.Sleep(2500 * time.Millisecond)
		late := told(t, s.read(t)) // hello, the stream, the app, and what is younger than 3 s
		if n := len(late); n != 5 || late[2]["model"] != "m" || late[3]["pts_ms"] != 2000.0 {
			t.Errorf("%v", late)
		}
	})
}

func TestResultRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, Config{Decoder: newEasel()})
		status := func(body string) int {
			t.Helper()
			err := s.Post(s.stream, "a", []byte(body))
			var why *Refusal
			if !errors.As(err, &why) {
				t.Errorf("%s: %v", body, err)
				return 0
			}
			return why.Status
		}
		if n := status(`{"pts_ms":1}`); n != http.StatusConflict {
			t.Errorf("before the first picture: %d", n)
		}
		s.live(t)
		if n := status(`{"epoch":77,"pts_ms":1}`); n != http.StatusConflict {
			t.Errorf("an epoch that never was: %d", n)
		}
		if n := status(`{"pts_ms":60000}`); n != http.StatusUnprocessableEntity {
			t.Errorf("a picture that is still to come: %d", n)
		}
		if n := status(`[{"pts_ms":1},{"pts_ms":60000}]`); n != http.StatusUnprocessableEntity || s.Stats().Results != 0 {
			t.Errorf("half of a list was taken: %d, %+v", n, s.Stats())
		}
		for range postBurst {
			if err := s.Post(s.stream, "b", []byte(`{"pts_ms":1}`)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Post(s.stream, "b", []byte(`{"pts_ms":1}`)); err == nil {
			t.Error("an app may post without end")
		}
		time.Sleep(time.Second)
		if err := s.Post(s.stream, "b", []byte(`{"pts_ms":1}`)); err != nil {
			t.Errorf("a second later: %v", err)
		}
		for i := range maxApps {
			_ = s.Post(s.stream, fmt.Sprint("app", i), []byte(`{"pts_ms":1}`))
		}
		var why *Refusal
		if err := s.Post(s.stream, "one more", []byte(`{"pts_ms":1}`)); !errors.As(err, &why) || why.Code != "LIMIT_REACHED" {
			t.Errorf("more than %d apps: %v", maxApps, err)
		}
	})
}

// A reader that is too slow loses the oldest and is told how many; the others lose
// nothing.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, Config{Decoder: newEasel()})
		s.live(t)
		slow, well := s.read(t), s.read(t)
		told(t, slow)
		told(t, well)
		seen := 0
		for i := range 50 {
			if err := s.Post(s.stream, "a", fmt.Appendf(nil, `{"pts_ms":%d}`, i*100)); err != nil {
				t.Fatal(err)
			}
			seen += len(told(t, well))
			time.Sleep(100 * time.Millisecond)
		}
		list := told(t, slow)
		lost := 50 - len(list)
		if seen != 50 || lost < 18 || lost > 22 || list[0]["dropped"] != float64(lost) || list[1]["dropped"] != nil || s.Stats().ResultsLost != uint64(lost) {
			t.Errorf("%d of 50 seen, %d lost, first %v, %+v", seen, lost, list[0], s.Stats())
		}
	})
}

// An app that says nothing any more has stopped; sooner when it has also let go of
// the pictures.
func TestAppGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, Config{Decoder: newEasel()})
		s.live(t)
		r := s.read(t)
		state := []byte(`{"type":"status","state":"running"}`)
		stopped := func(app string, within time.Duration) {
			t.Helper()
			told(t, r)
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			for {
				list, err := r.Next(ctx)
				if err != nil {
					t.Fatalf("%s: not within %v", app, within)
				}
				for _, m := range list {
					var st protocol.State
					if json.Unmarshal(m, &st) == nil && st.App == app && st.State == protocol.StateStopped {
						return
					}
				}
			}
		}
		for _, app := range []string{"silent", "looker"} {
			if err := s.Post(s.stream, app, state); err != nil {
				t.Fatal(err)
			}
		}
		one, two := s.subscribe(t, "looker", Options{10, 640, JPEG}), s.subscribe(t, "looker", Options{10, 320, JPEG})
		one.Close()
		time.Sleep(7 * time.Second)
		if _, here := s.channels[s.stream].posters["looker"]; !here {
			t.Error("an app that still looks is forgotten")
		}
		two.Close()
		stopped("looker", 7*time.Second)
		stopped("silent", 20*time.Second)
		r.Close()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(s.channels); n != 0 {
			t.Errorf("%d channels are left", n)
		}
	})
}
