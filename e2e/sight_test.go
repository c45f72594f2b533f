package e2e

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"
	"github.com/pion/webrtc/v4"
)

// sight is what a reader saw: how pictures follow each other on the media's own line,
// and of an absence: held pictures, which are 200 ms apart, and when pictures that
// follow each other closely came again.
type sight struct {
	mu          sync.Mutex
	pictures    int
	least, most time.Duration // from one to the next
	came        time.Time     // the newest
	apart       time.Duration // the longest time in which none came, since forget

	held, live int // pictures in a row
	seen       bool
	back       time.Time
}

// picture notes one that is shown so long after the one before.
func (s *sight) picture(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pictures++; s.pictures == 1 || after < s.least {
		s.least = after
	}
	s.most = max(s.most, after)
	now := time.Now()
	if !s.came.IsZero() {
		s.apart = max(s.apart, now.Sub(s.came))
	}
	s.came = now
	const step, about = 200 * time.Millisecond, 10 * time.Millisecond
	if after > step-about && (after+about)%step < 2*about {
		s.held, s.live = s.held+1, 0
		if s.held > 1 {
			s.seen, s.back = true, time.Time{}
		}
		return
	}
	s.held, s.live = 0, s.live+1
	if s.back.IsZero() {
		s.back = now
	}
}

// forget makes it a sight of the next absence.
func (s *sight) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.live, s.seen, s.back = 0, 0, false, time.Time{}
	s.came, s.apart = time.Time{}, 0
}

// returned says when the first of several live pictures came after held ones, in
// the clock of all programs; zero when none has.
func (s *sight) returned() (at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen && s.live > 2 {
		at = s.back
	}
	return at
}

// longest is the longest time in which no picture came since forget, now included.
func (s *sight) longest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.apart, time.Since(s.came))
}

// follow feeds a sight with the pictures of ffmpeg's framecrc until it ends.
func (s *sight) follow(p *process) {
	tick, last := time.Duration(0), int64(-1)
	for from := 0; ; {
		p.mu.Lock()
		lines, more := p.lines[from:], p.more
		from = len(p.lines)
		p.mu.Unlock()
		for _, line := range lines {
			var track, dts, num, den int64
			if n, _ := fmt.Sscanf(line, "#tb 0: %d/%d", &num, &den); n == 2 {
				tick = time.Duration(num) * time.Second / time.Duration(den)
			}
			if n, _ := fmt.Sscanf(line, "%d, %d,", &track, &dts); n != 2 || track != 0 {
				continue
			}
			if last >= 0 {
				s.picture(time.Duration(dts-last) * tick)
			}
			last = dts
		}
		select {
		case <-more:
		case <-p.done:
			return
		}
	}
}

// pageSight is the same in a page.
const pageSight = `(() => {
	const v = document.querySelector('video');
	let last = null, lastShown = 0;
	const s = window.sight = { forget() { s.held = s.live = s.back = 0; s.seen = s.stood = false; }, returned: () => s.seen && s.live > 2 ? s.back : 0 };
	s.forget();
	const shown = (now, frame) => {
		v.requestVideoFrameCallback(shown);
		const at = frame.rtpTimestamp === undefined ? 1000 * frame.mediaTime : frame.rtpTimestamp / 90;
		if (last !== null && now - lastShown > 1000) { // it stood still, and may have jumped over most of what was held
			s.held = s.live = s.back = 0;
			s.seen = s.stood = true;
		}
		lastShown = now;
		const after = at - last, off = Math.abs(after - 200 * Math.round(after / 200));
		if (last !== null && after > 150 && off < 10) {
			s.held++;
			s.live = 0;
			if (s.held > 1 || s.stood) { s.seen = true; s.back = 0; }
		} else if (last !== null) {
			s.held = 0;
			s.live++;
			s.back ||= Date.now();
		}
		last = at;
	};
	v.requestVideoFrameCallback(shown);
})()`

// framecrc are the arguments that make ffmpeg tell of each picture at once.
func framecrc(input ...string) []string {
	return append(append([]string{"ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"}, input...),
		"-map", "0:v", "-flush_packets", "1", "-f", "framecrc", "-")
}

// watchCopied reads a URL as it is, by ffmpeg.
func (s *sight) watchCopied(t *testing.T, name string, input ...string) *process {
	t.Helper()
	p := start(t, "ffmpeg "+name+" reader", nil, framecrc(append(input, "-c", "copy")...)...)
	p.waitLine(`^0, +\d`, 0)
	go s.follow(p)
	return p
}

// watchPackets plays a WHEP URL by another maker's WebRTC: a picture is there with its
// first packet.
func (s *sight) watchPackets(t *testing.T, url string) {
	t.Helper()
	pc := peerConnection(t)
	if _, err := pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		close(begun)
		for last, first := uint32(0), true; ; first = false {
			p, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			if !first && p.Timestamp != last {
				s.picture(time.Duration(int32(p.Timestamp-last)) * time.Second / 90000)
			}
			last = p.Timestamp
		}
	})
	offerTo(t, pc, url)
	select {
	case <-begun:
	case <-time.After(patience):
		t.Fatal("no picture by WebRTC")
	}
}

// fragments decodes what a player of parts fetches: an ffmpeg for each init.
type fragments struct {
	t     *testing.T
	name  string
	sight *sight
	init  string
	to    *process
}

// begin makes the fragments that follow belong to an init.
func (f *fragments) begin(url string) {
	if f.init == url {
		return
	}
	if f.to != nil {
		f.to.in.Close()
	}
	f.init = url
	argv := framecrc("-probesize", "32", "-analyzeduration", "0", "-threads", "1", "-f", "mp4", "-i", "pipe:0", "-fps_mode", "passthrough", "-enc_time_base", "1:90000")
	f.to = start(f.t, f.name+" decoder", nil, argv...)
	go f.sight.follow(f.to)
	f.add(url)
}

// add decodes what a URL answers, as it comes.
func (f *fragments) add(url string) (ok bool) {
	res, err := http.Get(url)
	if err != nil {
		f.t.Error(err)
		return false
	}
	return f.take(res)
}

// take decodes an answer and reports whether there was one and a decoder.
func (f *fragments) take(res *http.Response) (ok bool) {
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		f.t.Errorf("%s: %s: %s", f.name, res.Request.URL.Path, res.Status)
		return false
	}
	_, err := io.Copy(f.to.in, res.Body)
	return err == nil // else the test is over, or pictures will not come
}

var (
	mapTag  = regexp.MustCompile(`^#EXT-X-MAP:URI="(.*?)"`)
	partTag = regexp.MustCompile(`^#EXT-X-PART:.*URI="(.*?)"`)
	hintTag = regexp.MustCompile(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="(.*?)"`)
)

// watchParts plays LL-HLS until the test ends: each part when it is listed.
func (s *sight) watchParts(t *testing.T, index string) {
	t.Helper()
	f := &fragments{t: t, name: "LL-HLS", sight: s}
	list := strings.Replace(index, "index.m3u8", "video.m3u8", 1)
	base := strings.TrimSuffix(list, "video.m3u8")
	had := map[string]bool{}
	task(t, func(over <-chan struct{}) {
		for first := true; ; first = false {
			select {
			case <-over:
				return
			default:
			}
			code, _, body := get(t, list)
			if code != http.StatusOK {
				t.Errorf("%s: %d", list, code)
				return
			}
			init, independent := "", false
			for line := range strings.Lines(string(body)) {
				if m := mapTag.FindStringSubmatch(line); m != nil {
					init = m[1]
				}
				if m := partTag.FindStringSubmatch(line); m != nil && !had[m[1]] {
					had[m[1]] = true
					if independent = independent || !first || strings.Contains(line, "INDEPENDENT"); independent {
						f.begin(base + init)
						if !f.add(base + m[1]) {
							return
						}
					}
				}
			}
			_, _, _ = get(t, base+hintTag.FindStringSubmatch(string(body))[1]) // waits for the next
		}
	})
}

// watchSegments plays DASH of low latency until the test ends: each segment while
// it grows.
func (s *sight) watchSegments(t *testing.T, index string) {
	t.Helper()
	f := &fragments{t: t, name: "DASH", sight: s}
	describe := func() (template *mpd.SegmentTemplateType, newest int, base string) {
		res, err := http.Get(index)
		if err != nil {
			t.Error(err)
			return nil, 0, ""
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		m, err := mpd.ReadFromString(string(body))
		if err != nil {
			t.Errorf("%s: %s: %v", index, res.Status, err)
			return nil, 0, ""
		}
		index = res.Request.URL.String() // of the session
		v := m.Periods[len(m.Periods)-1].AdaptationSets[0].Representations[0].GetSegmentTemplate()
		return v, int(*v.StartNumber) + len(v.SegmentTimeline.S) - 1, index[:strings.LastIndex(index, "/")+1]
	}
	task(t, func(over <-chan struct{}) {
		template, number, base := describe()
		for ; template != nil; number++ {
			select {
			case <-over:
				return
			default:
			}
			res, err := http.Get(base + strings.ReplaceAll(template.Media, "$Number$", strconv.Itoa(number))) // is held until it opens
			if err != nil {
				t.Error(err)
				return
			}
			if res.StatusCode == http.StatusServiceUnavailable { // nothing came for 3 s
				res.Body.Close()
				number--
				continue
			}
			if template, _, _ = describe(); template != nil {
				f.begin(base + template.Initialization)
				if !f.take(res) {
					return
				}
			}
		}
	})
}

// task runs something beside a test, which ends it and waits for it.
func task(t *testing.T, run func(over <-chan struct{})) {
	t.Helper()
	over, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); run(over) }()
	t.Cleanup(func() { close(over); <-done })
}
