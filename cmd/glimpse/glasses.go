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
	Prefer string `default:"rtmp" help:"How to publish: rtmp."`
}

// Help tells what may be typed while it runs.
func (glassesCommand) Help() string {
	return `While it runs, typed lines act as the wearer:

  say stop stream     speech, as the phone would have understood it
  button short        press the button: short or long
  battery 20          the battery's charge in percent
  drop 5s             no network for a while
  start PKG           start an app; stop PKG ends it
  quit`
}

func (c *glassesCommand) Run(ctx context.Context) error {
	return glasses.Run(ctx, glasses.Options{Server: c.Server, Token: c.Token, Source: c.Source, Prefer: c.Prefer}, os.Stdin, os.Stdout)
}
