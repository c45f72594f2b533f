package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// target is a server that can be measured: ours, or a peer by its description.
type target struct {
	name   string
	binary string // ours
	peer   *peer
}

// peer is another server, as its JSON file says.
type peer struct {
	Name    string            `json:"name"`
	Command []string          `json:"command"` // started for each round …
	Pid     int               `json:"pid"`     // … or running already
	Ready   string            `json:"ready"`   // a TCP address that answers when it serves
	Ingest  map[string]string `json:"ingest"`  // URLs by protocol: rtmp, srt, whip; {stream} is its name
	Play    map[string]string `json:"play"`    // rtmp, srt, whep, hls
}

// targets are ours and the peers.
func (o *options) targets() ([]target, error) {
	var list []target
	if o.server != "" {
		list = append(list, target{name: "glimpse", binary: o.server})
	}
	for _, path := range o.peers {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		p := &peer{}
		if err := json.Unmarshal(b, p); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if p.Name == "" || (len(p.Command) == 0) == (p.Pid == 0) {
			return nil, fmt.Errorf("%s: a peer has a name and either a command or a pid", path)
		}
		list = append(list, target{name: p.Name, peer: p})
	}
	if len(list) == 0 {
		return nil, errors.New("neither -server nor -peer: nothing to measure")
	}
	return list, nil
}

// instance is a running server.
type instance struct {
	process
	ready time.Duration // from exec until it served; 0 when it ran already
	size  int64         // of the binary
	stop  func()
	// newStream returns the URLs of one more stream.
	newStream func(context.Context) (stream, error)
	ours      *server // nil for a peer
}

// stream is where one stream goes in and out, by protocol.
type stream struct {
	ID     string            `json:"id"`
	Status string            `json:"status"`
	Ingest map[string]string `json:"ingest"`
	Play   map[string]string `json:"playback"`
}

func (t target) start(ctx context.Context) (*instance, error) {
	if t.peer == nil {
		return launch(ctx, t.binary)
	}
	return t.peer.start(ctx)
}

func (p *peer) start(ctx context.Context) (*instance, error) {
	var n atomic.Int64
	i := &instance{process: process{pid: p.Pid}, stop: func() {}, newStream: func(context.Context) (stream, error) {
		name := "bench" + strconv.FormatInt(n.Add(1), 10)
		return stream{ID: name, Ingest: named(p.Ingest, name), Play: named(p.Play, name)}, nil
	}}
	if p.Pid != 0 {
		return i, nil
	}
	began := time.Now()
	if err := i.exec(exec.CommandContext(ctx, p.Command[0], p.Command[1:]...), io.Discard); err != nil {
		return nil, err
	}
	for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
		if c, err := net.Dial("tcp", p.Ready); err == nil {
			_ = c.Close()
			i.ready = time.Since(began)
			return i, nil
		}
	}
	i.stop()
	return nil, fmt.Errorf("%s does not answer at %s", p.Name, p.Ready)
}

// named puts a stream's name into URLs.
func named(urls map[string]string, name string) map[string]string {
	out := map[string]string{}
	for k, u := range urls {
		out[k] = strings.ReplaceAll(u, "{stream}", name)
	}
	return out
}

// exec starts a server's process. What it says, but for its collections, goes to
// said.
func (i *instance) exec(cmd *exec.Cmd, said io.Writer) error {
	cmd.Env = append(os.Environ(), gcTracing)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it has a folder to leave in order; stop waits
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	i.process = process{pid: cmd.Process.Pid, gc: &gcTrace{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		i.gc.read(stderr, said)
	}()
	if info, err := os.Stat(cmd.Path); err == nil {
		i.size = info.Size()
	}
	i.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		<-read
		_ = cmd.Wait()
	}
	return nil
}
