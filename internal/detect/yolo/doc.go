// Package yolo is everything about a YOLOv8 or YOLO11 model except running it:
// reading what an exported file says of itself, putting a picture into its
// input, and finding boxes in its output.
//
// All of it is pure and safe for concurrent use, except that a Letterbox
// belongs to one goroutine at a time. The layouts are those of the exporter's
// documentation (docs.ultralytics.com, "Export" and "YOLOv8 ONNX").
package yolo
