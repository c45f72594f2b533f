package glasses

import "time"

// How glasses get a lost stream back (WIRE c.4).
const (
	maxReconnects   = 10
	reconnectFactor = 1.5
)

// Times are all the delays of the glasses, so that tests can shorten them. The
// zero value of a field means its default.
type Times struct {
	KeepAlive    time.Duration // 60 s without keep-alive end a stream
	Stats        time.Duration // 2 s between statistics
	Retry        time.Duration // 1 s before the first reconnection; each next waits 1.5 times longer
	ForcedStop   time.Duration // 500 ms until a stream that was replaced is reported stopped
	Dial         time.Duration // 10 s to connect and to be allowed to publish
	Stall        time.Duration // 10 s in which a write must make progress
	Late         time.Duration // 1 s behind the clock, pictures are dropped
	LinkRetry    time.Duration // 1 s before the websocket's first reconnection, doubled up to LinkRetryMax
	LinkRetryMax time.Duration // 10 s
	LinkSilence  time.Duration // 45 s without a message or ping from the cloud: the websocket is dead
	Farewell     time.Duration // 1 s to say goodbye on the websocket
}

// withDefaults fills the fields that are zero with the defaults divided by speed.
func (t Times) withDefaults(speed float64) Times {
	for _, f := range []struct {
		d   *time.Duration
		def time.Duration
	}{
		{&t.KeepAlive, 60 * time.Second},
		{&t.Stats, 2 * time.Second},
		{&t.Retry, time.Second},
		{&t.ForcedStop, 500 * time.Millisecond},
		{&t.Dial, 10 * time.Second},
		{&t.Stall, 10 * time.Second},
		{&t.Late, time.Second},
		{&t.LinkRetry, time.Second},
		{&t.LinkRetryMax, 10 * time.Second},
		{&t.LinkSilence, 45 * time.Second},
		{&t.Farewell, time.Second},
	} {
		if *f.d == 0 {
			*f.d = time.Duration(float64(f.def) / speed)
		}
	}
	return t
}
