//go:build unix

package frames

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// used is the processor time of this process and of its children that have ended.
func used(b *testing.B) (own, children time.Duration) {
	b.Helper()
	get := func(who int) time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return get(syscall.RUSAGE_SELF), get(syscall.RUSAGE_CHILDREN)
}

// Three apps look at one 720p30 stream at 1, 5 and 10 pictures a second: how long a
// picture takes from the publisher to the app, and what all of it costs of a core.
func BenchmarkThreeApps(b *testing.B) {
	const length = 10 * time.Second
	for _, c := range []struct {
		name   string
		format Format
		width  int
	}{{"rgb 320", RGB, 320}, {"jpeg 640", JPEG, 640}} {
		b.Run(c.name, func(b *testing.B) {
			var ages []time.Duration
			var cost, decoders time.Duration
			for range b.N {
				k := newKitchen(b, `exec ffmpeg "$@"`)
				own, children := used(b)
				over := k.film(nil)
				done := make(chan []time.Duration)
				for _, fps := range []float64{1, 5, 10} {
					sub := k.subscribe(b, "a", Options{fps, c.width, c.format})
					go func() {
						var got []time.Duration
						for end := time.Now().Add(length); time.Now().Before(end); {
							p := await(b, sub, "a picture", isPicture).Picture
							p.Bytes(c.format)
							got = append(got, time.Since(p.Came))
						}
						done <- got[min(1, len(got)):] // the first waited for the decoder's start
					}()
				}
				for range 3 {
					ages = append(ages, <-done...)
				}
				over()
				k.Close()
				own2, children2 := used(b)
				cost, decoders = cost+own2-own+children2-children, decoders+children2-children
			}
			slices.Sort(ages)
			b.ReportMetric(float64(ages[len(ages)/2].Microseconds())/1000, "ms-median")
			b.ReportMetric(float64(ages[len(ages)*95/100].Microseconds())/1000, "ms-p95")
			seconds := length.Seconds() * float64(b.N)
			b.ReportMetric(100*cost.Seconds()/seconds, "%core")
			b.ReportMetric(100*decoders.Seconds()/seconds, "%core-ffmpeg")
			b.ReportMetric(0, "ns/op")
		})
	}
}
