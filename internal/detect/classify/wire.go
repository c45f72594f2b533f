package classify

import (
	"encoding/json"
	"math"
	"time"

	"glimpse/internal/detect/yolo"
)

// Types of messages.
const (
	typeRequest  = "detection_request"
	typeResponse = "detection_response"
	typePing     = "ping"
	typePong     = "pong"
	typeError    = "error"
)

// Codes of errors.
const (
	codeBadJSON     = "bad_json"      // the message is not a JSON object
	codeUnknownType = "unknown_type"  // its type is not one that we know
	codeNoImage     = "no_image"      // image_data is missing or empty
	codeBadImage    = "bad_image"     // not base64 of a JPEG or PNG
	codeTooLarge    = "too_large"     // more than 4096 pixels in a direction
	codeDropped     = "dropped"       // newer requests of this connection came first
	codeBusy        = "busy"          // all connections together ask too much
	codeNoModel     = "model_missing" // there is nothing to look with
	codeFailed      = "failed"        // the model failed
)

// message is what clients send, all types in one.
type message struct {
	Type      string          `json:"type"`
	ImageData string          `json:"image_data"`
	ImageID   json.RawMessage `json:"image_id"`
	Timestamp json.RawMessage `json:"timestamp"`
}

// Detection is one thing found, in the protocol's words.
type Detection struct {
	ClassID    int        `json:"class_id"`
	ClassName  string     `json:"class_name"`
	Confidence float64    `json:"confidence"`
	Bbox       [4]float64 `json:"bbox"` // x1, y1, x2, y2 in pixels of the picture
	CenterX    float64    `json:"center_x"`
	CenterY    float64    `json:"center_y"`
}

// Detections writes boxes in the protocol's words; never nil, so that none is [].
func Detections(s *yolo.Spec, boxes []yolo.Box) []Detection {
	list := make([]Detection, 0, len(boxes))
	for _, b := range boxes {
		list = append(list, Detection{
			ClassID: s.ClassID(b.Class), ClassName: s.Names[b.Class], Confidence: round(b.Score, 1e4),
			Bbox:    [4]float64{round(b.X1, 10), round(b.Y1, 10), round(b.X2, 10), round(b.Y2, 10)},
			CenterX: round((b.X1+b.X2)/2, 100), CenterY: round((b.Y1+b.Y2)/2, 100),
		})
	}
	return list
}

func round(v float32, to float64) float64 { return math.Round(float64(v)*to) / to }

// data of an answer.
type data struct {
	ImageID        json.RawMessage `json:"image_id"`
	Detections     []Detection     `json:"detections"`
	ProcessingTime float64         `json:"processing_time"` // seconds
	Timestamp      float64         `json:"timestamp"`       // of the answer, seconds since 1970; 0 with an error
	Width          int             `json:"width,omitempty"`
	Height         int             `json:"height,omitempty"`
	Model          string          `json:"model,omitempty"`
}

// response is an answer; Error and ErrorCode are set together.
type response struct {
	Type      string `json:"type"`
	Data      *data  `json:"data,omitempty"`
	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
}

// pong answers a ping with its own timestamp.
type pong struct {
	Type      string          `json:"type"`
	Timestamp json.RawMessage `json:"timestamp"`
}

// refused is an answer that holds no detections.
func refused(id json.RawMessage, code, text string) response {
	return response{Type: typeResponse, Data: &data{ImageID: id, Detections: []Detection{}}, Error: text, ErrorCode: code}
}

// misunderstood answers what is no request.
func misunderstood(code, text string) response {
	return response{Type: typeError, Error: text, ErrorCode: code}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
