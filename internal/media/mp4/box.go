package mp4

import "encoding/binary"

var be = binary.BigEndian

// boxes builds nested boxes.
type boxes struct{ b []byte }

// open begins a box; close it with the position that is returned.
func (w *boxes) open(name string) int {
	at := len(w.b)
	w.b = append(append(w.b, 0, 0, 0, 0), name...)
	return at
}

// full is open with a version and flags.
func (w *boxes) full(name string, version byte, flags uint32) int {
	at := w.open(name)
	w.u32(uint32(version)<<24 | flags)
	return at
}

func (w *boxes) close(at int) { be.PutUint32(w.b[at:], uint32(len(w.b)-at)) }

func (w *boxes) u16(v uint16) { w.b = be.AppendUint16(w.b, v) }
func (w *boxes) u32(v uint32) { w.b = be.AppendUint32(w.b, v) }
func (w *boxes) u64(v uint64) { w.b = be.AppendUint64(w.b, v) }

func (w *boxes) zeros(n int) {
	for range n {
		w.b = append(w.b, 0)
	}
}

// matrix is the unity matrix of mvhd and tkhd.
func (w *boxes) matrix() {
	for _, v := range [9]uint32{0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000} {
		w.u32(v)
	}
}

// Header is what a file begins with: ftyp, and the 16 bytes that Seal later
// turns into the header of one large mdat.
func Header() []byte {
	w := &boxes{}
	at := w.open("ftyp")
	w.b = append(w.b, "isom"...)
	w.u32(0x200)
	w.b = append(w.b, "isomiso2iso6mp41"...)
	w.close(at)
	at = w.open("free")
	w.zeros(8)
	w.close(at)
	return w.b
}

// sealAt is where the 16 bytes begin, and bodyAt where they end.
const (
	sealAt = 32
	bodyAt = sealAt + 16
)

// Seal returns the header of the mdat that reaches from the header's place to
// end, and where to write it.
func Seal(end int64) (at int64, header []byte) {
	w := &boxes{}
	w.u32(1)
	w.b = append(w.b, "mdat"...)
	w.u64(uint64(end - sealAt))
	return sealAt, w.b
}

// find returns the payload of the first box of each name, one inside the other;
// nil when there is none.
func find(b []byte, names ...string) []byte {
	for _, name := range names {
		var inner []byte
		found := false
		for kind, body := range each(b) {
			if kind == name {
				inner, found = body, true
				break
			}
		}
		if !found {
			return nil
		}
		b = inner
	}
	return b
}

// each iterates over the boxes in b: name and payload. It stops at the first
// that does not fit.
func each(b []byte) func(yield func(string, []byte) bool) {
	return func(yield func(string, []byte) bool) {
		for len(b) >= 8 {
			n := int64(be.Uint32(b))
			if n < 8 || n > int64(len(b)) || !yield(string(b[4:8]), b[8:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// AppendData appends the header of an mdat of that many bytes: 16 bytes.
func AppendData(b []byte, size int64) []byte {
	w := &boxes{b: b}
	w.u32(1)
	w.b = append(w.b, "mdat"...)
	w.u64(uint64(size + 16))
	return w.b
}
