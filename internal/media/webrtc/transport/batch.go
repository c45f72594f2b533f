package transport

import (
	"fmt"

	"github.com/pion/rtp"

	"glimpse/internal/media/udp"
)

// MaxBatch is how many packets a Batch holds.
const MaxBatch = 16

// Batch is a sender's scratch: packets sealed one behind the other and sent in
// as few sends as possible. The zero value is empty. For one goroutine.
type Batch struct {
	sizes  [MaxBatch]int
	trains [MaxBatch]train
	used   int // datagrams
	length int // bytes in buf
	header rtp.Header
	buf    [MaxBatch * udp.MaxDatagram]byte
}

// Reset forgets what was sealed.
func (b *Batch) Reset() { b.used, b.length = 0, 0 }

// Sealed is the number of packets sealed, and their bytes.
func (b *Batch) Sealed() (packets, bytes int) { return b.used, b.length }

// Next copies a packet behind the last one, with extra bytes of room behind it,
// and returns both for patching.
func (b *Batch) Next(data []byte, extra int) []byte {
	plain := b.buf[b.length : b.length+len(data)+extra]
	copy(plain, data)
	return plain
}

// Seal encrypts the packet that Next returned, in place.
func (b *Batch) Seal(k *Keys, plain []byte) error {
	size := len(plain) + k.tag
	dst := b.buf[b.length : b.length+len(plain) : b.length+size]
	if _, err := k.seal.EncryptRTP(dst, plain, &b.header); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	b.sizes[b.used] = size
	b.used++
	b.length += size
	return nil
}

// Flush sends what was sealed, resets the batch, and says how many packets were
// lost to a full socket or an unreachable path.
func (b *Batch) Flush(d *Destination) (lost int) {
	at := 0
	for _, t := range trains(b.trains[:0], b.sizes[:b.used]) {
		if d.send(b.buf[at:at+t.bytes], t) != nil {
			lost += t.count
		}
		at += t.bytes
	}
	b.Reset()
	return lost
}
