package cmaf

import (
	"testing"
	"time"

	"glimpse/internal/media/frame"
	"glimpse/internal/media/mp4"
)

func BenchmarkIngest(b *testing.B) { // one picture and its share of sound
	s := newSource(b)
	s.audio = audioTrack(b, stereo48)
	s.m.setSource(s.audio)
	key, delta, sound := payload(40_000, true), payload(9_000, false), make([]byte, 200)
	s.picture(0, 0, true)
	samples := int64(0)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		at := time.Duration(i) * time.Second / 30
		f := frame.Frame{Track: s.video, PTS: at, DTS: at, Payload: delta}
		if i%60 == 0 {
			f.Key, f.Payload = true, key
		}
		s.add(&f)
		for pts := time.Duration(samples) * time.Second / 48000; pts < at; pts = time.Duration(samples) * time.Second / 48000 {
			s.add(&frame.Frame{Track: s.audio, PTS: pts, DTS: pts, Payload: sound})
			samples += 1024
		}
	}
}

func benchSamples() ([]sample, int) {
	samples, size := make([]sample, 6), 0
	for i := range samples {
		samples[i] = sample{payload: make([]byte, 9_300), duration: 3000, key: i == 0}
		size += 9_300
	}
	return samples, size
}

func BenchmarkPartJoin(b *testing.B) { // six frames, 56 kB
	samples, size := benchSamples()
	b.ReportAllocs()
	for b.Loop() {
		p := Part{Size: size + mp4.FragmentSize(true, 6), video: true, samples: samples}
		p.Bytes()
	}
}
