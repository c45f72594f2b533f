package main

import (
	"os"

	"github.com/alecthomas/kong"

	"glimpse/internal/completion"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help tells where the script goes.
func (completionCommand) Help() string {
	return `Prints a script that lets the shell complete commands and flags:

  bash   in ~/.bashrc:                source <(glimpse completion bash)
  zsh    in ~/.zshrc after compinit:  source <(glimpse completion zsh)
  fish   glimpse completion fish > ~/.config/fish/completions/glimpse.fish`
}

func (c *completionCommand) Run(k *kong.Context) error {
	return completion.Write(os.Stdout, c.Shell, k.Model)
}
