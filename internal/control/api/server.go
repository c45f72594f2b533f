package api

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Info is what the process serves.
type Info struct {
	Version string    `json:"version"`
	Started time.Time `json:"started_at"`
	HTTP    Listener  `json:"http"`
	HTTPS   Listener  `json:"https"`
	RTMP    Listener  `json:"rtmp"`
	RTMPS   Listener  `json:"rtmps"`
	SRT     Listener  `json:"srt"`
	WebRTC  Listener  `json:"webrtc"`
	Notices []string  `json:"notices" doc:"What is off or missing, and why; one sentence each."`
}

// Listener is one listening socket.
type Listener struct {
	Addr string `json:"addr,omitempty" doc:"The real address; absent when the listener is off."`
	Why  string `json:"why,omitempty" doc:"Why it is off."`
}

// port is the listener's port, 0 when it is off.
func (l Listener) port() int {
	_, text, err := net.SplitHostPort(l.Addr)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return port
}

type serverOutput struct{ Body Info }

func (a *API) registerServer(h huma.API) {
	huma.Register(h, operation("get-server", http.MethodGet, "/server", "Version, listeners with their real addresses, and what is off and why"),
		func(context.Context, *struct{}) (*serverOutput, error) {
			info := a.deps.Server.Info()
			if info.Notices == nil {
				info.Notices = []string{}
			}
			return &serverOutput{Body: info}, nil
		})
}
