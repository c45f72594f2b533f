package record

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/hub"
	"glimpse/internal/media/mp4"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// videoTrack is one of two H.264 parameter sets of x264.
func videoTrack(t testing.TB, n int) *frame.Track {
	t.Helper()
	sets := [2][2]string{
		{"6742c01ed900a02ff970110000030001000003003c0f162e48", "68cb83cb20"},
		{"674d401eeca05017fcb8088000000300800000" + "1e078b16cb", "68ebe3cb20"},
	}
	sps, err := hex.DecodeString(sets[n][0])
	if err != nil {
		t.Fatal(err)
	}
	pps, err := hex.DecodeString(sets[n][1])
	if err != nil {
		t.Fatal(err)
	}
	c, err := codec.NewH264(sps, pps)
	if err != nil {
		t.Fatal(err)
	}
	return &frame.Track{Codec: c}
}

// picture is an access unit of one NAL unit.
func picture(key bool, size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint32(b, uint32(size-4))
	b[4] = 0x41
	if key {
		b[4] = 0x65
	}
	copy(b[5:], []byte{0x88, 0x84, 0x21, 0xa0})
	return b
}

// faulty is a disk that fails when it is told to.
type faulty struct {
	disk
	mu     sync.Mutex
	err    error // of each write while set
	every  int   // each n-th write begins a burst that fails with errIO
	burst  int
	writes int
	free   uint64 // of 100; 0: all
}

var errIO = errors.New("input/output error")

func (d *faulty) fault() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	if d.err != nil {
		return d.err
	}
	if d.every > 0 && d.writes%d.every < d.burst {
		return errIO
	}
	return nil
}

func (d *faulty) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// leave says how much of 100 is free from now on; 0: all.
func (d *faulty) leave(free uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free = free
}

func (d *faulty) Create(name string) (file, error) {
	f, err := d.disk.Create(name) // a full disk still makes names
	return faultyFile{f, d}, err
}

func (d *faulty) Open(name string) (file, int64, error) {
	f, n, err := d.disk.Open(name)
	return faultyFile{f, d}, n, err
}

func (d *faulty) Space() (free, total uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free == 0 {
		return 100, 100, nil
	}
	return d.free, 100, nil
}

type faultyFile struct {
	file
	d *faulty
}

func (f faultyFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.d.fault(); err != nil {
		n, _ := f.file.WriteAt(b[:len(b)/2], at) // as real ones do
		return n, err
	}
	return f.file.WriteAt(b, at)
}

func (f faultyFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.d.err
}

// stage is a hub with a recorder on time of its own.
type stage struct {
	*testing.T
	disk   *faulty
	rec    *Recorder
	hub    *hub.Hub
	stream *hub.Stream

	mu     sync.Mutex
	events []Event
}

// play runs f in a bubble with a stream "cam" and ends all of it.
func play(t *testing.T, cfg Config, f func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{T: t}
		s.start(t.TempDir(), cfg)
		f(s)
		s.stop()
	})
}

func (s *stage) start(dir string, cfg Config) {
	s.Helper()
	d, err := openFolder(dir)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { d.root.Close() })
	s.disk = &faulty{disk: d}
	s.resume(cfg)
}

// resume makes a recorder and a hub on the same disk.
func (s *stage) resume(cfg Config) {
	s.Helper()
	cfg.disk, cfg.Notify = s.disk, func(e Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	}
	var err error
	if s.rec, err = New(cfg); err != nil {
		s.Fatal(err)
	}
	s.hub = hub.New(hub.Config{}, slog.New(slog.DiscardHandler), s.rec.Output)
	s.stream, err = s.hub.Open(hub.Spec{ID: "cam", IngestKey: "key", PlaybackID: "play", Name: "door", Standing: true, ResumeWindow: 20 * time.Second})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *stage) stop() {
	s.hub.Close()
	s.rec.Close()
	synctest.Wait()
}

// source is a publisher of 25 pictures a second, a key frame each second, and AAC.
type source struct {
	s     *stage
	p     *hub.Publisher
	at    time.Duration
	sound int64
	size  int
}

func (s *stage) publish(video *frame.Track) *source {
	s.Helper()
	p, err := s.hub.Publish("key", hub.PublisherInfo{Protocol: "test"})
	if err != nil {
		s.Fatal(err)
	}
	src := &source{s: s, p: p, size: 1000}
	if err := p.SetTrack(video); err != nil {
		s.Fatal(err)
	}
	if err := p.SetTrack(&frame.Track{Codec: codec.StandardAAC()}); err != nil {
		s.Fatal(err)
	}
	return src
}

// run publishes for a time that is a multiple of 40 ms.
func (src *source) run(d time.Duration) {
	src.s.Helper()
	for end := src.at + d; src.at < end; src.at += 40 * time.Millisecond {
		if err := src.p.Video(src.at, src.at, src.at%time.Second == 0, picture(src.at%time.Second == 0, src.size)); err != nil {
			src.s.Fatal(err)
		}
		for ; ; src.sound++ {
			pts := time.Duration(src.sound * 1024 * int64(time.Second) / 48000)
			if pts > src.at {
				break
			}
			if err := src.p.Audio(pts, []byte{1, 2, 3, 4, 5}); err != nil {
				src.s.Fatal(err)
			}
		}
		time.Sleep(40 * time.Millisecond)
	}
}

func (s *stage) told(kind EventKind) (list []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// only returns the one recording that there is.
func (s *stage) only() Info {
	s.Helper()
	list := s.rec.Library().List()
	if len(list) != 1 {
		s.Fatalf("%d recordings, want 1: %+v", len(list), list)
	}
	return list[0]
}

// scan reads a recording's file and checks it.
func (s *stage) scan(id string) *mp4.File {
	s.Helper()
	f, size, err := s.disk.disk.Open(id + ".mp4")
	if err != nil {
		s.Fatal(err)
	}
	defer f.Close()
	found, err := mp4.Scan(f, size)
	if err != nil {
		s.Fatal(err)
	}
	return found
}

// files are the names on the disk.
func (s *stage) files() []string {
	s.Helper()
	names, err := s.disk.List()
	if err != nil {
		s.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// wantNoEmpty fails on files of no use.
func (s *stage) wantNoEmpty() {
	s.Helper()
	for _, name := range s.files() {
		f, size, err := s.disk.disk.Open(name)
		if err != nil {
			s.Fatal(err)
		}
		f.Close()
		if size < 100 || strings.HasSuffix(name, ".new") {
			s.Errorf("%s of %d bytes is left", name, size)
		}
	}
}
