package transcode

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// What we accept of a NUT file; a child's output is far below all of it.
const (
	nutMaxPacket = 64 << 10 // header packets, and frames of sound
	nutMaxBases  = 16
)

const nutFileID = "nut/multimedia container\x00"

// Start codes (NUT specification, "Startcodes"); all begin with 'N'.
const (
	nutMain   = 0x4E4D7A561F5F04AD
	nutStream = 0x4E5311405BF2F9DB
	nutSync   = 0x4E4BE4ADEECA4569
)

// Flags of a frame code (NUT specification, "frame flags").
const (
	nutCodedPTS   = 1 << 3
	nutStreamID   = 1 << 4
	nutSizeMSB    = 1 << 5
	nutChecksum   = 1 << 6
	nutReserved   = 1 << 7
	nutSideData   = 1 << 8
	nutHeaderIdx  = 1 << 10
	nutMatchTime  = 1 << 11
	nutCodedFlags = 1 << 12
	nutInvalid    = 1 << 13
)

var errNUT = errors.New("nut: malformed")

// nutCode is one of the 256 frame codes that the main header defines.
type nutCode struct {
	flags     uint64
	ptsDelta  int64
	mul, lsb  uint64 // of the size
	reserved  uint64
	headerIdx uint64
}

// nutBase is a time base: num/den seconds a tick.
type nutBase struct{ num, den int64 }

// duration of a number of ticks.
func (b nutBase) duration(ticks int64) time.Duration {
	whole := time.Duration(ticks/b.den*b.num) * time.Second
	return whole + time.Duration(ticks%b.den*b.num)*time.Second/time.Duration(b.den)
}

// nutReader reads a NUT file of one stream, as ffmpeg writes it to a pipe: the
// one format whose muxer holds no packet back. It trusts no length.
// Specification: https://ffmpeg.org/nut.html.
type nutReader struct {
	r       *bufio.Reader
	codes   [256]nutCode
	bases   []nutBase
	headers [][]byte // elision headers
	base    int      // time base of the stream, -1 before its header
	shift   uint64   // msb_pts_shift
	last    int64    // PTS of the frame before
	largest uint64   // frame that is accepted
}

// newNUTReader reads up to the stream header. Frames may have so many bytes.
func newNUTReader(r io.Reader, largest uint64) (*nutReader, error) {
	n := &nutReader{r: bufio.NewReaderSize(r, 16<<10), base: -1, largest: largest}
	id := make([]byte, len(nutFileID))
	if _, err := io.ReadFull(n.r, id); err != nil {
		return nil, err
	}
	if string(id) != nutFileID {
		return nil, fmt.Errorf("%w: file id", errNUT)
	}
	for n.base < 0 {
		code, err := n.r.ReadByte()
		if err != nil {
			return nil, err
		}
		if code != 'N' {
			return nil, fmt.Errorf("%w: frame before its headers", errNUT)
		}
		if err := n.packet(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// next returns the next frame: its time and its bytes, the caller's to keep.
// io.EOF at the end between two frames, io.ErrUnexpectedEOF inside one.
func (n *nutReader) next() (time.Duration, []byte, error) {
	for {
		code, err := n.r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		if code != 'N' {
			pts, data, err := n.frame(&n.codes[code])
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return pts, data, err
		}
		if err := n.packet(); err != nil {
			return 0, nil, err
		}
	}
}

// packet reads what follows the 'N' of a start code.
func (n *nutReader) packet() error {
	var b [8]byte
	b[0] = 'N'
	if _, err := io.ReadFull(n.r, b[1:]); err != nil {
		return err
	}
	size, err := readV(n.r)
	if err != nil {
		return err
	}
	if size < 4 || size > nutMaxPacket {
		return fmt.Errorf("%w: packet of %d bytes", errNUT, size)
	}
	if size > 4096 { // header_checksum; a pipe does not flip bits
		if _, err := n.r.Discard(4); err != nil {
			return err
		}
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(n.r, body); err != nil {
		return err
	}
	v := &nutFields{b: body[:size-4]}
	switch binary.BigEndian.Uint64(b[:]) {
	case nutMain:
		n.mainHeader(v)
	case nutStream:
		n.streamHeader(v)
	case nutSync:
		n.syncPoint(v)
	}
	return v.err
}

// frame reads a frame whose code was read.
func (n *nutReader) frame(c *nutCode) (time.Duration, []byte, error) {
	v := nutVars{r: n.r}
	flags := c.flags
	if flags&nutCodedFlags != 0 {
		flags ^= v.v()
	}
	if flags&(nutInvalid|nutSideData) != 0 {
		return 0, nil, fmt.Errorf("%w: frame flags %#x", errNUT, flags)
	}
	if flags&nutStreamID != 0 {
		v.v()
	}
	pts := n.last + c.ptsDelta
	if flags&nutCodedPTS != 0 {
		pts = n.fullPTS(v.v())
	}
	size, idx, reserved := c.lsb, c.headerIdx, c.reserved
	if flags&nutSizeMSB != 0 {
		size += c.mul * min(v.v(), n.largest)
	}
	if flags&nutMatchTime != 0 {
		v.v()
	}
	if flags&nutHeaderIdx != 0 {
		idx = v.v()
	}
	if flags&nutReserved != 0 {
		reserved = v.v()
	}
	for range min(reserved, 16) {
		v.v()
	}
	if flags&nutChecksum != 0 {
		v.skip(4)
	}
	if v.err != nil {
		return 0, nil, v.err
	}
	if size > 4096 {
		idx = 0
	}
	if size > n.largest || reserved > 16 || idx >= uint64(len(n.headers)) || uint64(len(n.headers[idx])) > size || !n.sane(pts) {
		return 0, nil, fmt.Errorf("%w: frame of %d bytes at %d", errNUT, size, pts)
	}
	data := make([]byte, size)
	head := copy(data, n.headers[idx])
	if _, err := io.ReadFull(n.r, data[head:]); err != nil {
		return 0, nil, err
	}
	n.last = pts
	return n.bases[n.base].duration(pts), data, nil
}

// sane reports whether a time can be expressed.
func (n *nutReader) sane(pts int64) bool {
	b := n.bases[n.base]
	return pts >= 0 && pts/b.den < 1<<32/b.num
}

// fullPTS undoes the shortening of a coded PTS: small values are its low bits.
func (n *nutReader) fullPTS(coded uint64) int64 {
	span := int64(1) << n.shift
	if c := int64(min(coded, 1<<41)); c >= span {
		return c - span
	}
	mask := span - 1
	delta := n.last - mask/2
	return ((int64(coded) - delta) & mask) + delta
}

// nutVars reads variable length numbers from a stream; the first error stays.
type nutVars struct {
	r   *bufio.Reader
	err error
}

func (v *nutVars) v() uint64 {
	if v.err != nil {
		return 0
	}
	var x uint64
	x, v.err = readV(v.r)
	return x
}

func (v *nutVars) skip(n int) {
	if v.err == nil {
		_, v.err = v.r.Discard(n)
	}
}

// readV reads NUT's "v": 7 bits a byte, the highest first.
func readV(r io.ByteReader) (uint64, error) {
	x := uint64(0)
	for range 9 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		x = x<<7 | uint64(b&0x7f)
		if b < 0x80 {
			return x, nil
		}
	}
	return 0, fmt.Errorf("%w: number too long", errNUT)
}
