package main

import (
	"fmt"

	"glimpse/internal/server"
)

type versionCommand struct{}

func (versionCommand) Run() error {
	fmt.Println("glimpse", server.Version)
	return nil
}
