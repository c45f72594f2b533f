// Command glimpse is the whole product: the cloud that smart glasses stream to
// (serve), a demonstration of it (demo), simulated glasses (glasses), and what
// an operator needs beside them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes: 0 done, 1 failed, 2 called wrongly.
const (
	exitFailed = 1
	exitUsage  = 2
)

const about = `Live video from smart glasses, on your own server.

Glimpse takes the video of glasses (or OBS, or ffmpeg) in, shows it in browsers
within a second, and lets apps written with @mentra/sdk start and stop it.

  glimpse demo                  see it work: cloud, simulated glasses, an app
  glimpse serve                 run the cloud; prints its links
  glimpse user token me@home    a token for glasses

Exit status: 0 done, 1 failed, 2 called wrongly.`

type cli struct {
	Serve      serveCommand      `cmd:"" help:"Run the cloud."`
	Demo       demoCommand       `cmd:"" help:"Cloud, simulated glasses and a demo app in one, for a first look."`
	Glasses    glassesCommand    `cmd:"" help:"Simulated glasses: connect to a cloud, obey it, publish a clip."`
	User       userCommand       `cmd:"" help:"Wearers and their tokens."`
	Recordings recordingsCommand `cmd:"" help:"Recordings and clips: list, start, stop, download, delete."`
	Clip       clipCommand       `cmd:"" help:"Make an MP4 of what a stream has just shown."`
	Outputs    outputsCommand    `cmd:"" help:"Where streams are sent on to: list, add, remove, pause, try."`
	Reports    reportsCommand    `cmd:"" help:"What became of streams."`
	Tap        tapCommand        `cmd:"" help:"Watch the messages of a wearer's apps and glasses."`
	Completion completionCommand `cmd:"" help:"Print a completion script for bash, zsh or fish."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var c cli
	exit := -1
	parser, err := kong.New(&c, kong.Name("glimpse"), kong.Description(about),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.UsageOnError(), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		fmt.Fprintln(os.Stderr, "glimpse:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exit >= 0 { // --help
		return exit
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "glimpse: %v\nTry: glimpse --help\n", err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	k.BindTo(os.Stdout, (*io.Writer)(nil))
	if err := k.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "glimpse:", err)
		return exitFailed
	}
	return 0
}
