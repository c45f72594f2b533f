// Package completion writes completion scripts for shells from the description
// that kong has of a program's command line, so that they cannot differ from it.
//
// A script knows the place in the tree of commands where the cursor stands, and
// offers what may follow: commands, flags, or the words that a value may have.
// Where a value is free, the shell offers file names.
package completion

import (
	"embed"
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

//go:embed shells/*
var files embed.FS

// Shells lists for which shells Write has a script.
func Shells() []string { return []string{"bash", "zsh", "fish"} }

// place is a command, or the program itself, in the tree.
type place struct {
	Path  string // " user token"; "" is the program itself
	Words []word // commands, and words that an argument may be
	Flags []option
}

// word is something to offer, with a sentence about it.
type word struct{ Name, Help string }

// option is a flag.
type option struct {
	word            // Name without dashes
	Short  string   // one letter, or empty
	Value  bool     // something follows it
	Values []string // all that may follow; empty: anything
}

// Write writes the script for one of Shells; it does not depend on the version
// of the shell beyond bash 3.2, zsh 5 and fish 3.
func Write(out io.Writer, shell string, app *kong.Application) error {
	t, err := template.New(shell).Funcs(template.FuncMap{
		"quote": quoting(shell), "join": strings.Join,
	}).ParseFS(files, "shells/"+shell)
	if err != nil {
		return fmt.Errorf("no completion for %s: %w", shell, err)
	}
	data := struct {
		Name   string
		Places []place
	}{app.Name, places(app.Node, "")}
	if err := t.ExecuteTemplate(out, shell, data); err != nil {
		return fmt.Errorf("write completion: %w", err)
	}
	return nil
}

// quoting makes a text a word of the shell's language.
func quoting(shell string) func(string) string {
	inside := strings.NewReplacer(`'`, `'\''`)
	if shell == "fish" {
		inside = strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	}
	return func(text string) string { return "'" + inside.Replace(text) + "'" }
}

// places describes a command and those below it.
func places(node *kong.Node, path string) []place {
	here := place{Path: path}
	var below []place
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		for _, name := range append([]string{child.Name}, child.Aliases...) {
			here.Words = append(here.Words, word{name, child.Help})
			below = append(below, places(child, path+" "+name)...)
		}
	}
	for _, argument := range node.Positional {
		for _, name := range enum(argument) {
			here.Words = append(here.Words, word{name, argument.Help})
		}
	}
	for _, group := range node.AllFlags(true) {
		for _, f := range group {
			here.Flags = append(here.Flags, describe(f))
		}
	}
	return append([]place{here}, below...)
}

func describe(f *kong.Flag) option {
	d := option{word: word{f.Name, f.Help}, Value: !f.IsBool() && !f.IsCounter(), Values: enum(f.Value)}
	if f.Short != 0 {
		d.Short = string(f.Short)
	}
	return d
}

// enum is what a value may be, nothing when it is free.
func enum(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return v.EnumSlice()
}
