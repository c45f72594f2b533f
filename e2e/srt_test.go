package e2e

import (
	"fmt"
	"net"
	"testing"
)

const withSRT = "srt: {addr: \"127.0.0.1:0\"}\n"

// A stream that comes by SRT plays by all protocols, pictures and sound; SRT
// plays one that comes by RTMP, too. The publisher goes and comes back by another
// protocol, and again: a reader that was there stays and gets pictures.
//
// D1
func TestSRT(t *testing.T) {
	parallel(t, waiting)
	c := startCloud(t, withSRT)
	s := c.newStream()
	if s.Ingest["srt"] == "" || s.Play["srt"] == "" {
		t.Fatalf("no SRT in %+v", s)
	}
	publisher := publishTo(t, "mpegts", s.Ingest["srt"])
	status := func(want string) {
		t.Helper()
		eventually(t, "the stream is "+want, func() bool {
			var now stream
			c.api("GET", "/api/v1/streams/"+s.ID, nil, &now)
			return now.Status == want
		})
	}
	status("live")
	together(t, []string{"srt", "rtmp", "hls"}, func(t *testing.T, output string) { wantMoving(t, s.Play[output]) })
	readers := map[string]*process{}
	for _, output := range []string{"srt", "rtmp"} {
		readers[output] = start(t, "ffmpeg "+output+" reader", nil, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning",
			"-i", s.Play[output], "-c", "copy", "-f", "null", "-progress", "pipe:1", "-")
		readers[output].waitLine(`^frame=[1-9]`, 0)
	}
	for _, next := range []struct{ format, url string }{{"flv", s.Ingest["rtmp"]}, {"mpegts", s.Ingest["srt"]}} {
		publisher.stop()
		status("interrupted")
		publisher = publishTo(t, next.format, next.url)
		status("live")
		for output, reader := range readers {
			before := reader.lastFrame()
			eventually(t, output+" gets pictures again", func() bool { return reader.lastFrame() > before+30 })
			select {
			case <-reader.done:
				t.Errorf("the %s reader was closed", output)
			default:
			}
		}
	}
}

// An app of the alpha SDK sends the glasses to a listener on its own network by
// SRT, here ffmpeg, and stops them again.
//
// D3
func TestDirectBySRT(t *testing.T) {
	parallel(t, waiting)
	const user, pkg = "wearer@example.com", "com.example.local"
	port, at := freePort(t), freePort(t)
	c := startCloud(t, "apps:\n"+appConfig(pkg, port, "CAMERA, MICROPHONE")+"users:\n  - {id: "+user+"}\n")
	sink := start(t, "ffmpeg listener", nil, "ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning",
		"-i", fmt.Sprintf("srt://127.0.0.1:%d?mode=listener", at), "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "null", "-progress", "pipe:1", "-")
	eventually(t, "ffmpeg listens", func() bool {
		pc, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", at))
		if err == nil {
			pc.Close()
		}
		return err != nil
	})
	c.startGlasses(t, user)
	a := startApp(t, "alpha", pkg, port)
	c.startSession(a, user)
	a.do(nil, "direct", fmt.Sprintf("srt://127.0.0.1:%d?streamid=my-stream", at))
	a.status("active")
	sink.waitLine(`^frame=[1-9]`, 0)
	eventually(t, "many pictures", func() bool { return sink.lastFrame() > 60 })
	a.mark()
	a.do(nil, "stopDirect")
	a.status("stopped")
	select {
	case <-sink.done:
	case <-patienceOver():
		t.Error("the glasses still publish after stop")
	}
}
