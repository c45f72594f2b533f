package main

import (
	"encoding/json"
	"fmt"
	"os"

	"glimpse/internal/operator"
	"glimpse/internal/server"
)

// operatorFlags are how commands find a running server and its token.
type operatorFlags struct {
	configFlags
	Server string `placeholder:"URL" help:"Address of the cloud; the configured one when left out."`
	Token  string `env:"GLIMPSE_ADMIN_TOKEN" help:"The admin token; the configured one, or the data folder's, when left out."`
}

// client is the operator at that server.
func (f operatorFlags) client() (operator.Client, error) {
	c := operator.Client{Server: f.Server, Token: f.Token}
	if c.Server != "" && c.Token != "" {
		return c, nil
	}
	cfg, err := f.load()
	if err != nil {
		return c, err
	}
	if c.Server == "" {
		c.Server = server.LocalURL(cfg)
	}
	if c.Token == "" {
		c.Token, err = server.AdminToken(cfg)
	}
	return c, err
}

// show prints v as JSON, or by text.
func show(v any, asJSON bool, text func()) error {
	if !asJSON {
		text()
		return nil
	}
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.Stdout, string(out))
	return err
}
