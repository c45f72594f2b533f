// Package model holds the detector's own model, so that a first try needs no
// download: a small network in the layout of YOLOv8 that finds ten animals as
// Noto Color Emoji draws them. It knows nothing of real animals; README.md
// beside it tells what was measured, on drawings that it never saw as well.
package model

import _ "embed"

//go:embed model.onnx
var file string

// Name of the model, as it stands in answers.
const Name = "glimpse-drawn-animals"

// About is the sentence that goes wherever its results are shown.
const About = "This small model finds drawn animals (emoji), not real ones. For real ones bring your own: " +
	"yolo export model=yolov8n.pt format=onnx imgsz=320 opset=12, then glimpse-detect --model yolov8n.onnx"

// File returns the model as an ONNX file.
func File() []byte { return []byte(file) }
