package transcode

import "fmt"

// mainHeader reads the time bases, the frame codes and the elision headers.
// Repeated headers are read again: they say the same.
func (n *nutReader) mainHeader(v *nutFields) {
	if version := v.v(); version > 3 {
		v.v() // minor version
	}
	if streams := v.v(); streams != 1 {
		v.fail("%d streams", streams)
		return
	}
	v.v() // max_distance
	count := v.v()
	if v.err != nil || count == 0 || count > nutMaxBases {
		v.fail("%d time bases", count)
		return
	}
	n.bases = n.bases[:0]
	for range count {
		num, den := v.v(), v.v()
		if num == 0 || den == 0 || num > 1000 || den > 1<<20 {
			v.fail("time base %d/%d", num, den)
			return
		}
		n.bases = append(n.bases, nutBase{int64(num), int64(den)})
	}
	n.frameCodes(v)
	n.headers = [][]byte{nil}
	if v.err != nil || len(v.b) == 0 {
		return
	}
	for range min(v.v(), 128) {
		n.headers = append(n.headers, v.bytes())
	}
}

// frameCodes reads the table of 256 codes, which comes in runs.
func (n *nutReader) frameCodes(v *nutFields) {
	c := nutCode{mul: 1}
	for i := 0; i < len(n.codes) && v.err == nil; {
		c.flags = v.v()
		fields := v.v()
		if fields > 0 {
			c.ptsDelta = v.s()
		}
		if fields > 1 {
			c.mul = v.v()
		}
		if fields > 2 {
			v.v() // the stream: there is one
		}
		c.lsb, c.reserved = 0, 0
		if fields > 3 {
			c.lsb = v.v()
		}
		if fields > 4 {
			c.reserved = v.v()
		}
		count := c.mul - c.lsb
		if fields > 5 {
			count = v.v()
		}
		if fields > 6 {
			v.s() // match time
		}
		if fields > 7 {
			c.headerIdx = v.v()
		}
		for j := uint64(8); j < fields && v.err == nil; j++ {
			v.v()
		}
		if v.err != nil || count == 0 || count > uint64(len(n.codes)-i) || c.mul > nutMaxPacket || c.lsb > nutMaxPacket {
			v.fail("frame codes")
			return
		}
		for size := c.lsb; count > 0 && i < len(n.codes); i++ {
			if i == 'N' {
				n.codes[i] = nutCode{flags: nutInvalid}
				continue
			}
			n.codes[i] = c
			n.codes[i].lsb = size
			size++
			count--
		}
	}
}

// streamHeader reads what is needed of the one stream.
func (n *nutReader) streamHeader(v *nutFields) {
	if id := v.v(); id != 0 {
		v.fail("stream %d", id)
		return
	}
	v.v()     // class
	v.bytes() // fourcc
	base, shift := v.v(), v.v()
	if v.err == nil && (base >= uint64(len(n.bases)) || shift > 16) {
		v.fail("stream header")
	}
	if v.err == nil {
		n.base, n.shift = int(base), shift
	}
}

// syncPoint sets the time that the following frames count from.
func (n *nutReader) syncPoint(v *nutFields) {
	t := v.v()
	count := uint64(len(n.bases))
	if n.base < 0 || count == 0 {
		v.fail("sync point before its headers")
		return
	}
	from, to := n.bases[t%count], n.bases[n.base]
	ticks := t / count
	if ticks > 1<<40 {
		v.fail("time %d", ticks)
		return
	}
	if from == to {
		n.last = int64(ticks)
		return
	}
	n.last = int64(from.duration(int64(ticks)).Seconds() * float64(to.den) / float64(to.num))
}

// nutFields reads a header packet's fields; the first error stays.
type nutFields struct {
	b   []byte
	err error
}

func (f *nutFields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: "+format, append([]any{errNUT}, args...)...)
	}
}

// ReadByte makes nutFields an io.ByteReader.
func (f *nutFields) ReadByte() (byte, error) {
	if len(f.b) == 0 {
		return 0, fmt.Errorf("%w: header is cut short", errNUT)
	}
	b := f.b[0]
	f.b = f.b[1:]
	return b, nil
}

func (f *nutFields) v() uint64 {
	if f.err != nil {
		return 0
	}
	var x uint64
	x, f.err = readV(f)
	return x
}

// s reads a signed number.
func (f *nutFields) s() int64 {
	x := int64(f.v()) + 1
	if x&1 != 0 {
		return -(x >> 1)
	}
	return x >> 1
}

func (f *nutFields) bytes() []byte {
	n := f.v()
	if n > uint64(len(f.b)) {
		f.fail("%d bytes announced", n)
		return nil
	}
	b := f.b[:n:n]
	f.b = f.b[n:]
	return b
}
