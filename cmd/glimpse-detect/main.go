// Command glimpse-detect finds animals, or whatever its model knows, in live
// streams of a Glimpse cloud and in single pictures that others send it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"glimpse/internal/detect"
	"glimpse/internal/detect/engine"
	"glimpse/internal/detect/yolo"
)

// The exit codes: 0 done, 1 failed, 2 called wrongly.
const (
	exitFailed = 1
	exitUsage  = 2
)

const about = `Finds animals in live video, with any YOLOv8 or YOLO11 model in ONNX form.

  glimpse-detect --watch http://localhost:8002/live/stream     look at a stream
  glimpse-detect --webhook 127.0.0.1:7011                      be an app for wearers
  glimpse-detect                                               answer single pictures

It is an app: enter it under apps in glimpse.yaml with the permission CAMERA, and
give its key in GLIMPSE_API_KEY. Boxes are seen on the stream's page …/detect.
Single pictures come by websocket on port 8765, in the protocol of the animal
detection demo.

Its own small model finds drawn animals (emoji) only. For real ones:
  yolo export model=yolov8n.pt format=onnx imgsz=320 opset=12
  glimpse-detect --model yolov8n.onnx --watch …

It needs ONNX Runtime's library: scripts/onnxruntime.sh fetches it.

Exit status: 0 done, 1 failed, 2 called wrongly.`

type cli struct {
	Watch       []string `placeholder:"URL" help:"Look at the stream whose page this is; may be repeated."`
	Webhook     string   `placeholder:"ADDR" help:"Be an app that the cloud starts for its wearers; the webhook is http://ADDR/webhook. Keep it on a private network."`
	Cloud       string   `placeholder:"URL" help:"The only cloud that may start the app by the webhook; empty for any."`
	Package     string   `default:"com.example.detect" help:"The app's name at the cloud."`
	APIKey      string   `name:"api-key" placeholder:"KEY" env:"GLIMPSE_API_KEY" help:"The app's key at the cloud; better given in the environment."`
	FPS         float64  `name:"fps" default:"10" help:"Pictures a second of each stream, 0.1 to 30; fewer when the model takes too long."`
	Confidence  float32  `default:"0.35" help:"Least score of what is told, 0 to 1. Of streams: something new needs 0.10 more, something known may have less."`
	Classes     string   `default:"animals" help:"What to look for: animals, all, or names with commas between them."`
	Model       string   `placeholder:"FILE" help:"An .onnx model instead of the small one for drawn animals."`
	ModelLayout string   `default:"auto" enum:"auto,class-major,cell-major,nms" help:"How the model's output is laid out (${enum}); models of two classes may need it."`
	Runtime     string   `placeholder:"FILE" env:"GLIMPSE_ONNXRUNTIME" help:"ONNX Runtime's library, 1.24 or newer; else it is looked for beside the program, in ../.cache/onnxruntime and in the system."`
	Listen      string   `default:"localhost:8765" help:"Address for single pictures by websocket; empty for none. Who reaches it may use it."`
	Debug       bool     `help:"Write everything that happens to debug.log as well."`
}

// check says what is wrong with the flags.
func (c *cli) check() error {
	switch {
	case !(c.Confidence > 0 && c.Confidence <= 1):
		return errors.New("--confidence is a number above 0, up to 1")
	case !(c.FPS >= 0.1 && c.FPS <= 30):
		return errors.New("--fps is a number from 0.1 to 30")
	case (len(c.Watch) > 0 || c.Webhook != "") && c.APIKey == "":
		return errors.New("GLIMPSE_API_KEY is not set: the cloud gives pictures to apps with a key (apps in glimpse.yaml)")
	}
	return nil
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var c cli
	exit := -1
	parser, err := kong.New(&c, kong.Name("glimpse-detect"), kong.Description(about),
		kong.UsageOnError(), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(os.Stderr, "glimpse-detect:", err)
		return exitFailed
	}
	_, err = parser.Parse(args)
	if exit >= 0 { // --help
		return exit
	}
	if err == nil {
		err = c.check()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "glimpse-detect: %v\nTry: glimpse-detect --help\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := c.detect(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "glimpse-detect:", err)
		return exitFailed
	}
	return 0
}

func (c *cli) detect(ctx context.Context) error {
	layout, err := yolo.ParseLayout(c.ModelLayout)
	if err != nil {
		return err
	}
	log, closeLog, err := c.logger()
	if err != nil {
		return err
	}
	defer closeLog()
	return detect.Run(ctx, detect.Config{
		Engine: engine.Config{Runtime: c.Runtime, Model: c.Model, Layout: layout, Classes: c.Classes},
		Listen: c.Listen, Watch: c.Watch, Webhook: c.Webhook, Cloud: c.Cloud, FPS: c.FPS, Confidence: c.Confidence,
		Package: c.Package, APIKey: c.APIKey, Logger: log, Stdout: os.Stdout,
	})
}

// logger writes warnings to the terminal, or everything to debug.log.
func (c *cli) logger() (*slog.Logger, func(), error) {
	if !c.Debug {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), func() {}, nil
	}
	f, err := os.OpenFile("debug.log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return slog.New(slog.NewTextHandler(io.MultiWriter(os.Stderr, f), &slog.HandlerOptions{Level: slog.LevelDebug})), func() { f.Close() }, nil
}
