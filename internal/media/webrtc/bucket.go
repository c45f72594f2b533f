package webrtc

import (
	"sync"
	"time"

	"glimpse/internal/media/webrtc/packets"
)

// bucket is a token bucket of bytes. The zero value is empty until its first use.
type bucket struct {
	rate, burst int // bytes a second, bytes
	level       int
	at          time.Time
}

// take refills the bucket and takes n bytes out if they are there.
func (b *bucket) take(now time.Time, n int) bool {
	b.fill(now)
	if n > b.level {
		return false
	}
	b.level -= n
	return true
}

// first refills the bucket, takes as many of the packets out as are there, and counts
// them.
func (b *bucket) first(now time.Time, list []packets.Packet) int {
	b.fill(now)
	for i := range list {
		if len(list[i].Data) > b.level {
			return i
		}
		b.level -= len(list[i].Data)
	}
	return len(list)
}

func (b *bucket) fill(now time.Time) {
	if b.at.IsZero() {
		b.level = b.burst
	} else if since := now.Sub(b.at); since > 0 {
		b.level = int(min(int64(b.burst), int64(b.level)+int64(min(since, time.Minute))*int64(b.rate)/int64(time.Second)))
	}
	b.at = now
}

// sharedBucket is a bucket for all viewers.
type sharedBucket struct {
	mu     sync.Mutex
	bucket bucket
}

func (s *sharedBucket) take(now time.Time, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bucket.take(now, n)
}
