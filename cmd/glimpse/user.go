package main

import (
	"fmt"

	"glimpse/internal/server"
)

type userCommand struct {
	Token userTokenCommand `cmd:"" help:"Print a core token for glasses: nothing else, on standard output."`
}

type userTokenCommand struct {
	configFlags
	ID string `arg:"" help:"The wearer, usually an e-mail address. A valid token makes the user."`
}

func (c *userTokenCommand) Run() error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	token, err := server.CoreToken(cfg, c.ID)
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}
