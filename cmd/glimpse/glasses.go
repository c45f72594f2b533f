package main

import (
	"context"
	"os"

	"glimpse/internal/glasses"
)

type glassesCommand struct {
	Server string `required:"" placeholder:"URL" help:"Address of the cloud, for example http://localhost:8002."`
	Token  string `required:"" env:"GLIMPSE_TOKEN" help:"Core token of the wearer: glimpse user token ID."`
	Source string `default:"clip" placeholder:"FILE" help:"What the camera sees: an MP4 or FLV file with H.264, or the built-in clip."`
	Prefer string `default:"rtmp" enum:"rtmp,rtmps,srt,whip" help:"How to publish when the cloud has a choice: rtmp, rtmps, srt or whip."`

	CA     string  `placeholder:"FILE" help:"Certificate authority to trust: a PEM file, or the SHA-256 fingerprint that the server prints."`
	Script string  `type:"existingfile" placeholder:"FILE" help:"Lines that are typed by themselves; see help while it runs."`
	Speed  float64 `default:"1" placeholder:"N" help:"Divides the times of the glasses and of the lines, 1 to 1000."`
}

// Help tells what may be typed while it runs.
func (glassesCommand) Help() string {
	return `While it runs, typed lines act as the wearer, and --script FILE types them by itself:

` + glasses.Help() + `

A script may wait, so that it needs no clock:

  wait connected
  start com.example.demo
  wait streaming
  wifi off 5s
  wait reconnecting
  wait streaming
  quit`
}

func (c *glassesCommand) Run(ctx context.Context) error {
	return glasses.Run(ctx, glasses.Options{
		Server: c.Server, Token: c.Token, Source: c.Source, Prefer: c.Prefer, CA: c.CA, Script: c.Script, Speed: c.Speed,
	}, os.Stdin, os.Stdout)
}
