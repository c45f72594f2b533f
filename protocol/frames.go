package protocol

// The messages about decoded pictures and what apps found in them; docs/frames.md
// describes the wire. Times in milliseconds are numbers with a fraction, exact to
// the nanosecond.

// The types of these messages.
const (
	TypeHello      = "hello"
	TypeFrame      = "frame"
	TypeState      = "status"
	TypeDetections = "detections"
	TypeError      = "error"
)

// The states of pictures, and of an app that looks at them.
const (
	StateNoVideo      = "no_video"      // nobody publishes, or the publisher is away
	StateStarting     = "starting"      // the decoder or the model is on its way
	StateRunning      = "running"       // all is well
	StateOverloaded   = "overloaded"    // fewer pictures than were asked for
	StateStopped      = "stopped"       // nothing comes any more; Reason says why
	StateModelMissing = "model_missing" // an app has nothing to look with
)

// FramesHello is the first message to a subscriber of pictures or detections, and
// comes again with each epoch.
type FramesHello struct {
	Type         string  `json:"type"` // TypeHello
	Stream       string  `json:"stream"`
	Epoch        uint32  `json:"epoch"`            // rises with each run of the stream and change of its parameters; 0 before the first
	RTPBase      uint32  `json:"rtp_base"`         // rtp_ts = rtp_base + pts*90000 s⁻¹, modulo 2³²
	SourceWidth  int     `json:"source_width"`     // of the stream, in pixels; 0 before the first picture
	SourceHeight int     `json:"source_height"`    //
	Width        int     `json:"width,omitempty"`  // of the pictures, to subscribers of those
	Height       int     `json:"height,omitempty"` //
	FPS          float64 `json:"fps,omitempty"`
	Format       string  `json:"format,omitempty"`
}

// FrameHeader stands before each picture.
type FrameHeader struct {
	Type    string  `json:"type"` // TypeFrame
	Seq     uint64  `json:"seq"`  // counts this subscriber's pictures; those that it lost are left out
	Epoch   uint32  `json:"epoch"`
	PTS     float64 `json:"pts_ms"`  // on the stream's clock
	RTP     uint32  `json:"rtp_ts"`  // of the same picture to WebRTC viewers
	Wall    float64 `json:"wall_ms"` // when it was captured, as well as we know: Unix time
	Age     float64 `json:"age_ms"`  // since it reached the server, when it was sent
	Dropped uint64  `json:"dropped"` // pictures that this subscriber lost since the one before
	Width   int     `json:"width"`
	Height  int     `json:"height"`
	Format  string  `json:"format"` // jpeg, rgb (3 bytes a pixel) or gray (1), rows from the top without padding
}

// State says how pictures, or an app that looks at them, are doing.
type State struct {
	Type   string   `json:"type"`          // TypeState
	App    string   `json:"app,omitempty"` // the package, when it speaks of an app
	State  string   `json:"state"`
	Reason string   `json:"reason,omitempty"` // a sentence
	Model  string   `json:"model,omitempty"`  // that an app looks with
	Labels []string `json:"labels,omitempty"` // that it can find
	FPS    float64  `json:"fps,omitempty"`    // pictures a second that it looks at
}

// Detections is what an app found in one picture; an empty list is a result too.
// The app gives Epoch and PTS as the picture had them, the server adds the rest.
type Detections struct {
	Type       string      `json:"type"` // TypeDetections
	App        string      `json:"app,omitempty"`
	Epoch      uint32      `json:"epoch"` // 0 from an app: the one of now
	Seq        uint64      `json:"seq"`   // counts the results of this stream
	PTS        float64     `json:"pts_ms"`
	RTP        uint32      `json:"rtp_ts"`
	Wall       float64     `json:"wall_ms"`
	Age        float64     `json:"age_ms"`             // from the picture's arrival to the result's
	Width      int         `json:"width"`              // of the picture that boxes are measured in;
	Height     int         `json:"height"`             // the source's when left out
	Infer      float64     `json:"infer_ms,omitempty"` // that the app took
	Model      string      `json:"model,omitempty"`    //
	Detections []Detection `json:"detections"`         // at most MaxDetections
	Dropped    uint64      `json:"dropped,omitempty"`  // messages that this reader lost since the one before
}

// Detection is one thing found.
type Detection struct {
	Track      int        `json:"track,omitempty"` // the same thing in other pictures; 0 without tracking
	ClassID    int        `json:"class_id"`
	ClassName  string     `json:"class_name"`
	Confidence float64    `json:"confidence"` // 0 to 1
	BBox       [4]float64 `json:"bbox"`       // x1, y1, x2, y2 in pixels
	CenterX    float64    `json:"center_x"`
	CenterY    float64    `json:"center_y"`
	// Velocity of the centre in pixels a second, to draw it where it will be.
	Velocity *[2]float64 `json:"velocity,omitempty"`
}

// Failure answers a message that was refused, on a websocket.
type Failure struct {
	Type    string `json:"type"` // TypeError
	Code    Code   `json:"code"`
	Message string `json:"message"` // a sentence
}

// Bounds of what an app may post.
const (
	MaxDetections = 100 // in one picture
	MaxResults    = 64  // in one request
)
