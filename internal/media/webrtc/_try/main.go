package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/signal"
	"time"

	"glimpse/internal/media/hub"
	"glimpse/internal/media/rtmp"
	"glimpse/internal/media/transcode"
	"glimpse/internal/media/webrtc"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	h := hub.New(hub.Config{}, log)
	if _, err := h.Open(hub.Spec{ID: "s1", IngestKey: "key", PlaybackID: "play", Standing: true, ResumeWindow: 20 * time.Second}); err != nil {
		panic(err)
	}
	r, err := rtmp.New(rtmp.Config{Addr: "127.0.0.1:0"}, h, log)
	if err != nil {
		panic(err)
	}
	go r.Run(ctx)
	t := transcode.New(transcode.Config{}, log)
	addr := os.Getenv("UDP")
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	w, err := webrtc.New(webrtc.Config{Addr: addr}, h, t, log)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	w.Register(mux)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<video id=v autoplay muted playsinline></video>")
	})
	mux.HandleFunc("GET /stats", func(rw http.ResponseWriter, r *http.Request) { json.NewEncoder(rw).Encode(w.Stats()) })
	mux.Handle("GET /debug/", http.DefaultServeMux)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(ln, mux)
	fmt.Printf("{\"http\":\"http://%s\",\"rtmp\":\"rtmp://%s/live/key\",\"udp\":\"%s\"}\n", ln.Addr(), r.Addr(), w.Addr())
	if err := w.Run(ctx); err != nil {
		log.Error("run", "err", err)
	}
	h.Close()
	t.Close()
}
