package srt

import (
	"errors"
	"time"

	"glimpse/internal/media/codec"
	"glimpse/internal/media/flv"
	"glimpse/internal/media/frame"
	"glimpse/internal/media/serve"
)

// Bounds of what a publisher may make us hold.
const (
	packetSize = 188
	maxPES     = frame.MaxPicture
	maxSection = 1024 // a PAT or PMT (ISO/IEC 13818-1 §2.4.4.4)
	maxStreams = 16   // elementary streams that are looked at
)

// demuxer makes tracks and access units of an MPEG-TS with one program
// (ISO/IEC 13818-1). It decides alone, without I/O. Packets that do not parse
// are skipped; a unit with a missing packet is dropped whole.
type demuxer struct {
	serve.Intake
	rest  []byte // of a packet that is not whole yet
	pids  map[uint16]*pid
	clock clock
}

// pid collects one unit of a stream of packets: a section or a PES packet.
type pid struct {
	handle func(*pid) error // called with a whole unit in buf
	limit  int
	buf    []byte
	open   bool // buf begins with the start of a unit
	next   byte // continuity counter
	seen   bool
}

func newDemuxer(in serve.Intake) *demuxer {
	d := &demuxer{Intake: in}
	d.pids = map[uint16]*pid{0: {handle: d.association, limit: maxSection}}
	return d
}

// write takes bytes of the transport stream, which need not be whole packets,
// and keeps none of them. Errors: serve.ErrTooLarge, *flv.UnsupportedError and those of
// the sink.
func (d *demuxer) write(b []byte) error {
	if len(d.rest) > 0 {
		b = append(d.rest, b...)
		d.rest = nil
	}
	for len(b) >= packetSize {
		if b[0] != 0x47 {
			b = b[1:]
			continue
		}
		if err := d.packet(b[:packetSize]); err != nil {
			return err
		}
		b = b[packetSize:]
	}
	if len(b) > 0 {
		d.rest = append([]byte(nil), b...)
	}
	return nil
}

// packet handles one transport packet (§2.4.3.2).
func (d *demuxer) packet(b []byte) error {
	p := d.pids[uint16(b[1]&0x1f)<<8|uint16(b[2])]
	if p == nil || b[3]&0x10 == 0 { // of no use, or without payload
		return nil
	}
	begins, count, body := b[1]&0x40 != 0, b[3]&0x0f, b[4:]
	if b[3]&0x20 != 0 { // adaptation field
		n := int(body[0])
		if n >= len(body) {
			return nil
		}
		body = body[1+n:]
	}
	if p.seen && count == (p.next-1)&0x0f && !begins {
		return nil // sent twice, which is allowed once
	}
	if p.open && (b[1]&0x80 != 0 || count != p.next) { // damaged, or packets are missing
		p.open = false
		d.Skip()
	}
	p.seen, p.next = true, (count+1)&0x0f
	if begins {
		if err := d.finish(p); err != nil {
			return err
		}
		p.open, p.buf = true, p.buf[:0]
	}
	if !p.open {
		return nil
	}
	if len(p.buf)+len(body) > p.limit {
		p.open = false
		if p.limit == maxPES {
			return serve.ErrTooLarge
		}
		d.Skip()
		return nil
	}
	p.buf = append(p.buf, body...)
	if whole(p) {
		return d.finish(p)
	}
	return nil
}

// finish hands a unit over, when there is one.
func (d *demuxer) finish(p *pid) error {
	if !p.open {
		return nil
	}
	p.open = false
	return p.handle(p)
}

// end hands over what nothing follows, when the peer has said that it is over: each
// stream's last unit.
func (d *demuxer) end() error {
	var failed error
	for _, p := range d.pids {
		if p.limit != maxSection {
			failed = errors.Join(failed, d.finish(p))
		}
	}
	return failed
}

// whole reports that a unit which says its length is complete. Pictures say none:
// they end where the next one begins.
func whole(p *pid) bool {
	if p.limit == maxSection {
		s, ok := section(p.buf)
		return ok && len(s) > 0
	}
	if len(p.buf) < 6 {
		return false
	}
	n := int(p.buf[4])<<8 | int(p.buf[5])
	return n > 0 && len(p.buf) >= 6+n
}

// section returns the first section behind the pointer field, from its
// table_id_extension to before its CRC; ok is false while it is not complete.
func section(b []byte) (body []byte, ok bool) {
	if len(b) < 1 || len(b) < 1+int(b[0])+3 {
		return nil, false
	}
	b = b[1+int(b[0]):]
	n := int(b[1]&0x0f)<<8 | int(b[2])
	if n < 9 || len(b) < 3+n {
		return nil, false
	}
	return b[3 : 3+n-4], true
}

// association reads the PAT: the first program is the one that counts.
func (d *demuxer) association(p *pid) error {
	s, ok := section(p.buf)
	if !ok {
		return nil
	}
	for list := s[5:]; len(list) >= 4; list = list[4:] {
		program := uint16(list[0])<<8 | uint16(list[1])
		at := uint16(list[2]&0x1f)<<8 | uint16(list[3])
		if program == 0 {
			continue
		}
		if d.pids[at] == nil {
			d.pids = map[uint16]*pid{0: p, at: {handle: d.program, limit: maxSection}}
		}
		return nil
	}
	return nil
}

// program reads the PMT: new streams are followed, announced sound is expected.
func (d *demuxer) program(p *pid) error {
	s, ok := section(p.buf)
	if !ok || len(s) < 9 {
		return nil
	}
	skip := 9 + int(s[7]&0x0f)<<8 + int(s[8])
	if skip > len(s) {
		return nil
	}
	for list := s[skip:]; len(list) >= 5; {
		n := int(list[3]&0x0f)<<8 | int(list[4])
		if 5+n > len(list) {
			return nil
		}
		at := uint16(list[1]&0x1f)<<8 | uint16(list[2])
		if d.pids[at] == nil && len(d.pids) < maxStreams {
			if err := d.stream(at, list[0], list[5:5+n]); err != nil {
				return err
			}
		}
		list = list[5+n:]
	}
	return nil
}

// stream begins to follow an elementary stream.
func (d *demuxer) stream(at uint16, streamType byte, descriptors []byte) error {
	name, kind := codec.TSCodec(streamType, descriptors)
	if name == "" {
		return nil
	}
	p := &pid{limit: maxPES}
	parse := codec.TSSound(name, descriptors)
	switch {
	case kind == frame.Video && codec.TSPictures(name):
		p.handle = func(p *pid) error { return d.picture(name, p) }
	case kind == frame.Audio && parse != nil:
		p.handle = func(p *pid) error { return d.sound(parse, p) }
		if !d.HasAudio() {
			d.Out.ExpectAudio()
		}
	default:
		return &flv.UnsupportedError{Codec: name, Video: kind == frame.Video}
	}
	d.pids[at] = p
	return nil
}

// times of a PES packet and what it carries (§2.4.3.6); ok is false when it is
// malformed or has no time.
func (d *demuxer) times(b []byte) (pts, dts time.Duration, data []byte, ok bool) {
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 {
		return 0, 0, nil, false
	}
	end := len(b)
	if n := int(b[4])<<8 | int(b[5]); n > 0 {
		end = min(end, 6+n)
	}
	head := 9 + int(b[8])
	has := b[7] >> 6
	if head > end || has < 2 || b[8] < 5 || (has == 3 && b[8] < 10) {
		return 0, 0, nil, false
	}
	if has == 3 { // the decoding time first: it is nearer to the one before
		dts = d.clock.unwrap(stamp(b[14:]))
		pts = d.clock.unwrap(stamp(b[9:]))
	} else {
		pts = d.clock.unwrap(stamp(b[9:]))
		dts = pts
	}
	return pts, dts, b[head:end], true
}

// stamp reads 33 bits spread over five bytes.
func stamp(b []byte) int64 {
	return int64(b[0]&0x0e)<<29 | int64(b[1])<<22 | int64(b[2]&0xfe)<<14 | int64(b[3])<<7 | int64(b[4])>>1
}

func (d *demuxer) picture(name string, p *pid) error {
	pts, dts, data, ok := d.times(p.buf)
	if !ok {
		d.Skip()
		return nil
	}
	return d.AnnexB(name, pts, dts, data)
}

func (d *demuxer) sound(parse func([]byte) (codec.Audio, [][]byte, error), p *pid) error {
	pts, _, data, ok := d.times(p.buf)
	if !ok {
		d.Skip()
		return nil
	}
	c, units, err := parse(data)
	if err != nil {
		d.Skip()
		return nil
	}
	if err := d.AudioConfig(c); err != nil {
		return err
	}
	for _, unit := range units {
		if err := d.Sound(pts, append([]byte(nil), unit...)); err != nil {
			return err
		}
		rate, n := c.Samples(unit)
		pts += time.Duration(n) * time.Second / time.Duration(rate)
	}
	return nil
}
