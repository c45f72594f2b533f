package apps

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"glimpse/internal/outbound"
	"glimpse/protocol"
)

const (
	// webhookTimeout bounds one call. Apps of the second SDK generation answer
	// only when their onSession has returned, so it must not be shorter.
	webhookTimeout = 10 * time.Second
	maxAnswer      = 64 << 10 // bytes of a webhook's answer that are read
	maxMessage     = 200      // characters of it that are kept
)

// ErrUnreachable says that no connection to the app server came about: the app
// cannot have read the webhook, so it may be sent again.
var ErrUnreachable = errors.New("app server cannot be reached")

// WebhookError is the answer of an app server that did not take a webhook.
type WebhookError struct {
	Status  int    // HTTP status
	Message string // what the server said, shortened; may be empty
}

// Error implements error.
func (e *WebhookError) Error() string {
	text := fmt.Sprintf("app server answered %d", e.Status)
	if e.Status >= 300 && e.Status < 400 {
		text += " (redirects are not followed)"
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Webhooks calls app servers. It is safe for concurrent use and keeps no
// connection open between calls.
type Webhooks struct {
	trusted http.Client // any address
	guarded http.Client // public addresses only
}

// NewWebhooks returns a client. Private addresses are called for apps of the
// configuration file, and for others only when allowPrivate.
func NewWebhooks(allowPrivate bool) *Webhooks {
	w := &Webhooks{trusted: newClient(&net.Dialer{})}
	w.guarded = w.trusted
	if !allowPrivate {
		w.guarded = newClient(outbound.Dialer(false))
	}
	return w
}

func newClient(dialer *net.Dialer) http.Client {
	dialer.Timeout = webhookTimeout / 2
	return http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			Proxy:                  nil, // a proxy would do the dialling out of our sight
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 16 << 10,
			TLSHandshakeTimeout:    webhookTimeout / 2,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       webhookTimeout,
	}
}

// Start asks the app server to connect for a session. nil means that it
// answered 2xx; otherwise the error wraps ErrUnreachable, outbound.ErrPrivate, a
// *WebhookError, or the context's end.
func (w *Webhooks) Start(ctx context.Context, app App, req protocol.SessionRequest) error {
	return w.post(ctx, app, req.Type, req)
}

// Stop asks the app server to end a session; errors as those of Start.
func (w *Webhooks) Stop(ctx context.Context, app App, req protocol.StopRequest) error {
	return w.post(ctx, app, req.Type, req)
}

func (w *Webhooks) post(ctx context.Context, app App, kind string, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("webhook %s: %w", kind, err)
	}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, app.URL+"/webhook", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("webhook %s: %w", kind, err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := &w.guarded
	if app.FromConfig {
		client = &w.trusted
	}
	resp, err := client.Do(req)
	if err != nil {
		if !connected.Load() && ctx.Err() == nil && !errors.Is(err, outbound.ErrPrivate) {
			err = fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return fmt.Errorf("webhook %s: %w", kind, err)
	}
	defer func() { _ = resp.Body.Close() }()                      // the answer has been read
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // a broken answer still has its status
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	return fmt.Errorf("webhook %s: %w", kind, &WebhookError{Status: resp.StatusCode, Message: answerText(answer)})
}

// answerText takes the sentence out of an answer: SDKs send {"message": …}.
func answerText(answer []byte) string {
	var said struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return ""
	}
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, said.Message)
	if runes := []rune(text); len(runes) > maxMessage {
		text = string(runes[:maxMessage]) + "…"
	}
	return text
}
