package main

import (
	"context"
	"os"

	"glimpse/internal/glasses"
	"glimpse/internal/tapview"
)

type tapCommand struct {
	operatorFlags
	User string `arg:"" placeholder:"WEARER" help:"Whose messages, usually an e-mail address. The wearer need not be here yet."`
	JSON bool   `name:"json" help:"One JSON object a line, with whole bodies."`
}

// Help tells what is shown.
func (tapCommand) Help() string {
	return `Prints what a wearer's apps and glasses say to the cloud and hear from it, as it
passes: time, direction, app, type, message. Keys, tokens and stream addresses are
cut. Connects, refusals and closes with their reasons are shown as well. It waits
for a server that restarts; Ctrl-C ends it.`
}

func (c *tapCommand) Run(ctx context.Context) error {
	cloud, err := c.client()
	if err != nil {
		return err
	}
	return tapview.Run(ctx, tapview.Config{
		Server: cloud.Server, Token: cloud.Token, User: c.User, JSON: c.JSON,
		Colour: glasses.IsTerminal(os.Stdout), Notes: os.Stderr,
	}, os.Stdout)
}
