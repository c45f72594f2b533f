package rtmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	gomessage "github.com/bluenviron/gortmplib/pkg/message"
)

// chunk0 is a chunk with a full header.
func chunk0(id byte, ts uint32, length int, kind byte, body string) string {
	b := []byte{id, byte(ts >> 16), byte(ts >> 8), byte(ts), byte(length >> 16), byte(length >> 8), byte(length), kind, 1, 0, 0, 0}
	return string(b) + body
}

// be32 is a number in four bytes.
func be32(v uint32) string { return string(binary.BigEndian.AppendUint32(nil, v)) }

func setChunkSize(v uint32) string { return chunk0(2, 0, 4, typeSetChunkSize, be32(v)) }

func TestChunkReader(t *testing.T) {
	type want struct {
		kind byte
		time uint32
		body string
	}
	long := strings.Repeat("x", 300)
	tests := []struct {
		name string
		in   string
		want []want
	}{
		{"one chunk", chunk0(4, 7, 3, typeAudio, "abc"), []want{{typeAudio, 7, "abc"}}},
		{"empty message", chunk0(4, 7, 0, typeAudio, "") + chunk0(4, 8, 1, typeAudio, "a"), []want{{typeAudio, 7, ""}, {typeAudio, 8, "a"}}},
		{
			"three chunks of the default size",
			chunk0(6, 0, 300, typeVideo, long[:128]) + "\xc6" + long[:128] + "\xc6" + long[:44],
			[]want{{typeVideo, 0, long}},
		},
		{
			"interleaved, larger chunks",
			setChunkSize(200) + chunk0(6, 1, 300, typeVideo, long[:200]) + chunk0(4, 2, 2, typeAudio, "ab") + "\xc6" + long[:100],
			[]want{{typeAudio, 2, "ab"}, {typeVideo, 1, long}},
		},
		{
			"headers of all formats",
			chunk0(4, 10, 1, typeAudio, "a") + "\x44\x00\x00\x05\x00\x00\x02\x08bb" + "\x84\x00\x00\x03cc" + "\xc4dd",
			[]want{{typeAudio, 10, "a"}, {typeAudio, 15, "bb"}, {typeAudio, 18, "cc"}, {typeAudio, 21, "dd"}},
		},
		{
			"extended timestamp, repeated in the continuation",
			chunk0(6, extended, 130, typeVideo, be32(0x01020304)+long[:128]) + "\xc6" + be32(0x01020304) + "yz",
			[]want{{typeVideo, 0x01020304, long[:128] + "yz"}},
		},
		{
			"extended timestamp, left out of the continuation",
			chunk0(6, extended, 132, typeVideo, be32(0x01020304)+long[:128]) + "\xc6" + "wxyz" + chunk0(4, 1, 1, typeAudio, "a"),
			[]want{{typeVideo, 0x01020304, long[:128] + "wxyz"}, {typeAudio, 1, "a"}},
		},
		{
			"chunk stream ids of two and three bytes",
			"\x00\x05" + chunk0(0, 1, 1, typeAudio, "a")[1:] + "\x01\x05\x01" + chunk0(0, 2, 1, typeAudio, "b")[1:],
			[]want{{typeAudio, 1, "a"}, {typeAudio, 2, "b"}},
		},
		{
			"abort",
			chunk0(6, 0, 300, typeVideo, long[:128]) + chunk0(2, 0, 4, typeAbort, be32(6)) + chunk0(6, 9, 1, typeVideo, "v"),
			[]want{{typeVideo, 9, "v"}},
		},
		{
			"a huge chunk size allocates nothing",
			setChunkSize(0x7fffffff) + chunk0(6, 0, 300, typeVideo, long),
			[]want{{typeVideo, 0, long}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newChunkReader(strings.NewReader(tt.in), strangerLimits())
			for i, w := range tt.want {
				m, err := r.next()
				if err != nil || m.kind != w.kind || m.time != w.time || string(m.body) != w.body {
					t.Fatalf("message %d: kind %d at %d, %d bytes, %v; want %+v", i, m.kind, m.time, len(m.body), err, w)
				}
			}
			if _, err := r.next(); !errors.Is(err, io.EOF) {
				t.Errorf("end: %v", err)
			}
			if r.received != uint32(len(tt.in)) {
				t.Errorf("%d bytes counted; %d were read", r.received, len(tt.in))
			}
			if r.held != 0 {
				t.Errorf("%d bytes held", r.held)
			}
		})
	}
}

// unfinished begins a message of 64 KiB and delivers half of it.
func unfinished(id byte) string {
	return chunk0(id, 0, 64<<10, typeVideo, strings.Repeat("x", 40<<10))
}

func TestChunkReaderBounds(t *testing.T) {
	var streams strings.Builder
	for id := range byte(9) {
		streams.WriteString(chunk0(10+id, 0, 1, typeAudio, "a"))
	}
	tests := []struct {
		name   string
		in     string
		limits limits
		want   error
	}{
		{"chunk size 0", setChunkSize(0), strangerLimits(), errChunkSize},
		{"chunk size with bit 31", setChunkSize(1 << 31), strangerLimits(), errChunkSize},
		{"short control message", chunk0(2, 0, 2, typeSetChunkSize, "ab"), strangerLimits(), errControl},
		{"continuation of nothing", "\xc6abc", strangerLimits(), errChunkHeader},
		{"delta to nothing", "\x46\x00\x00\x05\x00\x00\x02\x08bb", strangerLimits(), errChunkHeader},
		{"message inside a message", chunk0(6, 0, 300, typeVideo, strings.Repeat("x", 128)) + chunk0(6, 0, 1, typeVideo, "a"), strangerLimits(), errInterleaved},
		{"message of a stranger", chunk0(6, 0, 64<<10+1, typeVideo, ""), strangerLimits(), errTooLong},
		{"message of a publisher", chunk0(6, 0, 4<<20+1, typeVideo, ""), publisherLimits(), errTooLong},
		{"chunk streams", streams.String(), strangerLimits(), errStreams},
		{
			"unfinished messages of a stranger",
			setChunkSize(40<<10) + unfinished(10) + unfinished(11) + unfinished(12) + unfinished(13) + unfinished(14) + unfinished(15) + unfinished(16),
			strangerLimits(), errHeld,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newChunkReader(strings.NewReader(tt.in), tt.limits)
			var err error
			for err == nil {
				_, err = r.next()
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v; %v expected", err, tt.want)
			}
			if r.held > tt.limits.total {
				t.Errorf("%d bytes held", r.held)
			}
		})
	}
}

// Nothing is reserved by what a stranger announces.
func TestAnnouncedBytes(t *testing.T) {
	r := newChunkReader(strings.NewReader(setChunkSize(64<<10)+chunk0(6, 0, 64<<10, typeVideo, "v")), strangerLimits())
	if _, err := r.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if r.held > 1<<10 {
		t.Errorf("%d bytes held for one", r.held)
	}
}

func FuzzChunks(f *testing.F) {
	long := strings.Repeat("x", 128)
	for _, s := range []string{
		chunk0(4, 7, 3, typeAudio, "abc"),
		setChunkSize(0x7fffffff) + chunk0(6, 0, 300, typeVideo, long),
		chunk0(6, extended, 130, typeVideo, be32(0x01020304)+long) + "\xc6" + be32(0x01020304) + "yz",
		"\x01\x05\x01" + chunk0(0, 2, 1, typeAudio, "b")[1:] + "\xc1\x05\x01b",
		connectBytes() + createBytes() + playBytes("x"),
		chunk0(3, 0, 25, typeCommand, "\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x03\x00\x00\x09"),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newChunkReader(bytes.NewReader(in), strangerLimits())
		total := 0
		for {
			m, err := r.next()
			if err != nil {
				break
			}
			if total += len(m.body); total > len(in) {
				t.Fatal("more came out than went in")
			}
			if r.held < 0 || r.held > r.limits.total {
				t.Fatalf("%d bytes held", r.held)
			}
		}
		// The commands of a stranger, and the answers to them.
		near := bufferConn{Buffer: &bytes.Buffer{}}
		c := &conn{srv: &Server{times: defaultTimes()}, nc: near, chunks: newChunkReader(bytes.NewReader(in), strangerLimits())}
		if w, err := c.negotiate(); err == nil && w.url == nil {
			t.Fatal("a wish without an address")
		}
	})
}

func TestCheckAMF(t *testing.T) {
	nest := func(n int) string {
		return strings.Repeat("\x03\x00\x01a", n) + "\x05" + strings.Repeat("\x00\x00\x09", n)
	}
	tests := []struct {
		name string
		in   string
		want error
	}{
		{"values", "\x02\x00\x01a\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x05\x06\x01\x01", nil},
		{"ECMA array", "\x08\x00\x00\x00\x01\x00\x01a\x05\x00\x00\x09", nil},
		{"strict array", "\x0a\x00\x00\x00\x02\x05\x05", nil},
		{"nested to the bound", nest(15), nil},
		{"nested beyond it", nest(16), errAMFDepth},
		{"nested for ever", strings.Repeat("\x0a\x00\x00\x00\x01", 10000), errAMFDepth},
		{"many values", strings.Repeat("\x05", 1025), errAMFCount},
		{"array of billions", "\x0a\xff\xff\xff\xff" + strings.Repeat("\x05", 2000), errAMFCount},
		{"array that ends early", "\x0a\x00\x00\x00\x09\x05", errAMF},
		{"cut string", "\x02\x00\x09abc", errAMF},
		{"cut number", "\x00\x00", errAMF},
		{"object without end", "\x03\x00\x01a\x05", errAMF},
		{"object with a wrong end", "\x03\x00\x00\x08", errAMF},
		{"unknown marker", "\x0b", errAMF},
	}
	for _, tt := range tests {
		if err := checkAMF([]byte(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v; %v expected", tt.name, err, tt.want)
		}
	}
}

// Whatever the walker lets pass, the library decodes, within the bounds.
func FuzzAMF(f *testing.F) {
	for _, s := range []string{
		"\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x03\x00\x03app\x02\x00\x04live\x00\x00\x09",
		"\x08\x00\x00\x00\x01\x00\x01a\x05\x00\x00\x09", "\x0a\x00\x00\x00\x02\x05\x06", "\x03\x00\x01a\x03\x00\x01b\x05\x00\x00\x09\x00\x00\x09",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		passed := checkAMF(in) == nil
		if !passed && len(in) > 4096 {
			return // the library alone would be hurt
		}
		values, err := amf0.Unmarshal(in)
		if passed && err != nil {
			t.Fatalf("passed, but the library says: %v", err)
		}
		if n := count(values, 1, t); passed && n > maxAMFValues {
			t.Fatalf("%d values passed", n)
		}
		var d demuxer
		d.Out = &collector{}
		d.metadata(in)
		_ = goodbye(message{kind: typeCommand, body: in})
	})
}

// count values and check their depth.
func count(v any, depth int, t *testing.T) (n int) {
	switch v := v.(type) {
	case amf0.Data:
		for _, x := range v {
			n += count(x, depth, t)
		}
		return n
	case amf0.Object:
		for _, x := range v {
			n += count(x.Value, depth+1, t)
		}
	case amf0.ECMAArray:
		for _, x := range v {
			n += count(x.Value, depth+1, t)
		}
	case amf0.StrictArray:
		for _, x := range v {
			n += count(x, depth+1, t)
		}
	}
	return n + 1
}

// Timestamps cross 0xffffff (4 h 40 min) inside a stream with key frames of
// several chunks, and wrap at 2^32: the library reads back what was sent, and
// so does our own reader.
func TestExtendedTimestamps(t *testing.T) {
	m := bigFilm()
	for _, at := range []uint32{extended - 1000, extended - 33, extended, 1<<32 - 200} {
		var wire bytes.Buffer
		w := newMediaWriter(bufferConn{Buffer: &wire}, 1, time.Second)
		w.started, w.base = true, -time.Duration(at)*time.Millisecond
		var want []uint32
		frames := m.frames[:2]
		for i := range 3 {
			for _, f := range frames {
				g := *f
				g.DTS += time.Duration(i) * time.Second
				want = append(want, uint32((g.DTS+time.Duration(at)*time.Millisecond).Round(time.Millisecond)/time.Millisecond))
				if err := w.Frame(&g); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		bc := bytecounter.NewReadWriter(struct {
			io.Reader
			io.Writer
		}{strings.NewReader(setChunkSize(outChunkSize) + wire.String()), io.Discard})
		lib := gomessage.NewReadWriter(bc, bc, false)
		own := newChunkReader(strings.NewReader(setChunkSize(outChunkSize)+wire.String()), publisherLimits())
		if _, err := lib.Read(); err != nil {
			t.Fatal(err)
		}
		for i := -1; i < len(want); i++ { // the sequence header comes first
			msg, err := lib.Read()
			if err != nil {
				t.Fatalf("from %#x, frame %d: %v", at, i, err)
			}
			ours, err := own.next()
			if err != nil {
				t.Fatal(err)
			}
			if i < 0 {
				continue
			}
			payload := frames[i%len(frames)].Payload
			v := msg.(*gomessage.Video)
			if uint32(v.DTS/time.Millisecond) != want[i] || !bytes.Equal(v.AU, payload) {
				t.Fatalf("from %#x, frame %d: library read %v, %d bytes; want %d, %d bytes", at, i, v.DTS, len(v.AU), want[i], len(payload))
			}
			if ours.time != want[i] || !bytes.Equal(ours.body[5:], payload) {
				t.Fatalf("from %#x, frame %d: we read %d; want %d", at, i, ours.time, want[i])
			}
		}
	}
}

// bufferConn is a connection that keeps what is written.
type bufferConn struct {
	net.Conn
	*bytes.Buffer
}

func (c bufferConn) Write(p []byte) (int, error)      { return c.Buffer.Write(p) }
func (c bufferConn) Read(p []byte) (int, error)       { return c.Buffer.Read(p) }
func (c bufferConn) SetWriteDeadline(time.Time) error { return nil }
