package hub

import (
	"cmp"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ViewerInfo says who watches, and how that goes.
type ViewerInfo struct {
	Protocol string // "rtmp", "rtmps", "srt", "hls", "dash", "whep"
	Remote   string // address, for the operator; may be empty
	// Stats tells how it goes; nil when nobody counts. It must not block, and may be
	// called from anywhere until the viewer has left.
	Stats func() ViewerStats
}

// ViewerStats are what is known of a viewer; zero fields are not known, or nothing.
type ViewerStats struct {
	Bytes   uint64        // sent
	Dropped uint64        // frames left out because the viewer is slow
	Lost    uint64        // packets that the network lost
	RTT     time.Duration // round trip
}

// Viewer is one who watches now.
type Viewer struct {
	ID       string // random, for as long as the viewer is there
	Protocol string
	Remote   string
	Since    time.Time
	ViewerStats
}

// Audience is who has watched a run, by protocol.
type Audience map[string]Watching

// Watching are the viewers of one protocol.
type Watching struct {
	Now, Peak int
	Joined    int           // in all, and those who were there before the run
	Watched   time.Duration // by all of them together, since the run began
}

// audience keeps a stream's viewers. It has a lock of its own, which is a leaf.
type audience struct {
	mu    sync.Mutex
	here  map[*present]struct{}
	count map[string]int // by protocol
	peak  int            // since the stream was opened

	begun time.Time // of the run
	run   map[string]*Watching
}

// present is a viewer who is here.
type present struct {
	Viewer
	stats func() ViewerStats
}

// AddViewer counts a viewer until leave is called. leave is idempotent and may be
// called from anywhere.
func (s *Stream) AddViewer(v ViewerInfo) (leave func()) {
	a := &s.audience
	p := &present{Viewer{ID: strings.ToLower(rand.Text()[:10]), Protocol: v.Protocol, Remote: v.Remote, Since: time.Now()}, v.Stats}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.here == nil {
		a.here, a.count, a.run = map[*present]struct{}{}, map[string]int{}, map[string]*Watching{}
	}
	a.here[p] = struct{}{}
	a.count[v.Protocol]++
	a.peak = max(a.peak, len(a.here))
	w := a.watching(v.Protocol)
	w.Joined++
	w.Peak = max(w.Peak, a.count[v.Protocol])
	return sync.OnceFunc(func() { a.leave(p) })
}

// watching is the run's entry of a protocol; mu is held.
func (a *audience) watching(protocol string) *Watching {
	w := a.run[protocol]
	if w == nil {
		w = &Watching{}
		a.run[protocol] = w
	}
	return w
}

func (a *audience) leave(p *present) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.here, p)
	a.count[p.Protocol]--
	a.watching(p.Protocol).Watched += a.watched(p, time.Now())
}

// watched is how long a viewer has watched the run; mu is held.
func (a *audience) watched(p *present, now time.Time) time.Duration {
	from := p.Since
	if from.Before(a.begun) {
		from = a.begun
	}
	return max(0, now.Sub(from))
}

// begin starts counting for a run; who is here already has joined it.
func (a *audience) begin(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun, a.run = now, map[string]*Watching{}
	for protocol, n := range a.count {
		if n > 0 {
			a.run[protocol] = &Watching{Peak: n, Joined: n}
		}
	}
}

func (a *audience) snapshot(now time.Time) (count map[string]int, peak int, run Audience) {
	a.mu.Lock()
	defer a.mu.Unlock()
	run = make(Audience, len(a.run))
	for protocol, w := range a.run {
		run[protocol] = Watching{Now: a.count[protocol], Peak: w.Peak, Joined: w.Joined, Watched: w.Watched}
	}
	for p := range a.here {
		w := run[p.Protocol]
		w.Watched += a.watched(p, now)
		run[p.Protocol] = w
	}
	return maps.Clone(a.count), a.peak, run
}

// maxViewers bounds what Viewers returns.
const maxViewers = 1000

// Viewers lists those who watch now, the first to come first, at most 1,000.
func (s *Stream) Viewers() []Viewer {
	a := &s.audience
	a.mu.Lock()
	list := slices.Collect(maps.Keys(a.here))
	a.mu.Unlock()
	slices.SortFunc(list, func(x, y *present) int {
		return cmp.Or(x.Since.Compare(y.Since), strings.Compare(x.ID, y.ID))
	})
	viewers := make([]Viewer, 0, min(len(list), maxViewers))
	for _, p := range list[:min(len(list), maxViewers)] {
		v := p.Viewer
		if p.stats != nil { // it may take a lock of its own
			v.ViewerStats = p.stats()
		}
		viewers = append(viewers, v)
	}
	return viewers
}
