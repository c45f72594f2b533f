package frames

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"

	"glimpse/internal/media/hub"
	"glimpse/protocol"
)

// Bounds of what is posted.
const (
	maxClassName = 64
	maxModel     = 128
	maxLabels    = 1000
	maxReason    = 256
	maxSide      = 1 << 14 // pixels
	maxApps      = 16      // with a state, of one stream
	// ahead is how far in the future a result's picture may seem to be: walls and
	// timelines drift.
	ahead = 5 * time.Second
	// An app may post so many messages at once, and then so many a second.
	postBurst, postRate = 200, 100
)

// post is one message of an app: what a result and a state have.
type post struct {
	protocol.Detections
	State  string   `json:"state"`
	Reason string   `json:"reason"`
	Labels []string `json:"labels"`
	FPS    float64  `json:"fps"`
}

// parsePosts reads a body: one message or a list of them.
func parsePosts(body []byte) ([]post, error) {
	var posts []post
	var err error
	if list := firstByte(body) == '['; list {
		err = json.Unmarshal(body, &posts)
	} else {
		posts = make([]post, 1)
		err = json.Unmarshal(body, &posts[0])
	}
	switch {
	case err != nil:
		return nil, invalid("send a message of type detections or status as JSON, or a list of them")
	case len(posts) == 0 || len(posts) > protocol.MaxResults:
		return nil, invalid(fmt.Sprintf("a list has 1 to %d messages", protocol.MaxResults))
	}
	for i := range posts {
		if err := posts[i].check(); err != nil {
			return nil, invalid(fmt.Sprintf("message %d: %v", i, err))
		}
	}
	return posts, nil
}

func firstByte(b []byte) byte {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
	return 0
}

func invalid(what string) error {
	return refused(http.StatusUnprocessableEntity, "INVALID_REQUEST", "The request is not valid: "+what+".")
}

// check says what is wrong with a message by itself.
func (p *post) check() error {
	if !plain(p.Model, maxModel) {
		return fmt.Errorf("model must be text of at most %d bytes", maxModel)
	}
	switch p.Type {
	case protocol.TypeState:
		return p.checkState()
	case protocol.TypeDetections, "":
		return p.checkResult()
	}
	return fmt.Errorf("type must be %s or %s", protocol.TypeDetections, protocol.TypeState)
}

func (p *post) checkState() error {
	switch p.State {
	case protocol.StateNoVideo, protocol.StateStarting, protocol.StateRunning, protocol.StateOverloaded,
		protocol.StateStopped, protocol.StateModelMissing:
	default:
		return fmt.Errorf("state must be no_video, starting, running, overloaded, stopped or model_missing")
	}
	if !plain(p.Reason, maxReason) || len(p.Labels) > maxLabels || p.FPS < 0 || p.FPS > 1000 {
		return fmt.Errorf("reason must be text of at most %d bytes, labels at most %d, fps 0 to 1000", maxReason, maxLabels)
	}
	for _, l := range p.Labels {
		if !plain(l, maxClassName) {
			return fmt.Errorf("labels must be text of at most %d bytes each", maxClassName)
		}
	}
	return nil
}

func (p *post) checkResult() error {
	switch {
	case !(p.PTS >= 0 && p.PTS < 1e11):
		return fmt.Errorf("pts_ms must be that of a picture")
	case p.Width < 0 || p.Height < 0 || p.Width > maxSide || p.Height > maxSide || (p.Width == 0) != (p.Height == 0):
		return fmt.Errorf("width and height must be those of the picture that boxes are measured in, or both be left out")
	case !(p.Infer >= 0 && p.Infer < 1e6):
		return fmt.Errorf("infer_ms must be a time")
	case len(p.Detections.Detections) > protocol.MaxDetections:
		return fmt.Errorf("at most %d detections", protocol.MaxDetections)
	}
	for i := range p.Detections.Detections {
		if err := checkDetection(&p.Detections.Detections[i]); err != nil {
			return fmt.Errorf("detections.%d: %w", i, err)
		}
	}
	return nil
}

func checkDetection(d *protocol.Detection) error {
	b := d.BBox
	numbers := []float64{b[0], b[1], b[2], b[3]}
	if d.Velocity != nil {
		numbers = append(numbers, d.Velocity[0], d.Velocity[1])
	}
	for _, v := range numbers {
		if math.Abs(v) > 1e6 {
			return fmt.Errorf("a number of bbox or velocity is too large")
		}
	}
	switch {
	case b[0] > b[2] || b[1] > b[3]:
		return fmt.Errorf("bbox must be x1, y1, x2, y2 with x1 <= x2 and y1 <= y2")
	case d.ClassName == "" || !plain(d.ClassName, maxClassName):
		return fmt.Errorf("class_name must be text of 1 to %d bytes", maxClassName)
	case !(d.Confidence >= 0 && d.Confidence <= 1):
		return fmt.Errorf("confidence must be 0 to 1")
	}
	return nil
}

// plain says whether a text may be shown to anyone.
func plain(s string, most int) bool {
	if len(s) > most || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// Post takes what an app sends about a stream: all of it, or nothing with a
// *Refusal.
func (s *Service) Post(stream *hub.Stream, app string, body []byte) error {
	posts, err := parsePosts(body)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	c := s.channelOf(stream)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.post(app, posts, time.Now())
}

// post publishes an app's messages. c.mu is held.
func (c *channel) post(app string, posts []post, now time.Time) error {
	who, err := c.poster(app, len(posts), now)
	if err != nil {
		return err
	}
	epochs := make([]*epoch, len(posts))
	for i := range posts {
		if p := &posts[i]; p.Type != protocol.TypeState {
			if epochs[i], err = c.place(p, now); err != nil {
				return err
			}
		}
	}
	for i := range posts {
		if p := &posts[i]; p.Type == protocol.TypeState {
			c.postState(who, protocol.State{
				Type: protocol.TypeState, App: app, State: p.State, Reason: p.Reason, Model: p.Model, Labels: p.Labels, FPS: p.FPS,
			})
		} else {
			c.postResult(app, p.Detections, epochs[i], now)
		}
	}
	return nil
}

// place finds the epoch that a result speaks of.
func (c *channel) place(p *post, now time.Time) (*epoch, error) {
	e := c.epochs.get(p.Epoch)
	if e == nil && p.Epoch == 0 {
		e = c.now()
	}
	if e == nil {
		return nil, refused(http.StatusConflict, "STALE_EPOCH", "The picture's epoch is over for long, or never was.")
	}
	if e.wall(pts(p.PTS)).After(now.Add(ahead)) {
		return nil, invalid("pts_ms lies in the future")
	}
	return e, nil
}

// pts is a time in milliseconds, to the nanosecond: what Picture.header gave.
func pts(ms float64) time.Duration { return time.Duration(math.Round(ms * float64(time.Millisecond))) }

// postResult completes a result and publishes it. c.mu is held.
func (c *channel) postResult(app string, d protocol.Detections, e *epoch, now time.Time) {
	at := pts(d.PTS)
	c.results++
	d.Type, d.App, d.Epoch, d.Seq, d.Dropped = protocol.TypeDetections, app, e.number, c.results, 0
	d.PTS, d.RTP, d.Wall, d.Age = millis(at), e.rtp(at), unixMillis(e.wall(at)), millis(e.age(at, now))
	if d.Width == 0 {
		d.Width, d.Height = e.width, e.height
	}
	if d.Detections == nil {
		d.Detections = []protocol.Detection{}
	}
	for i := range d.Detections {
		f := &d.Detections[i]
		f.CenterX, f.CenterY = (f.BBox[0]+f.BBox[2])/2, (f.BBox[1]+f.BBox[3])/2
	}
	c.announce(e, now)
	c.bus.publish(d, now)
	c.service.counts.results.Add(1)
}
