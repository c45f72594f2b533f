// Package web holds the sources of the pages that we serve: plain HTML, CSS and
// ES modules, without a build step. Package internal/web serves them.
package web

import "embed"

// Files are the pages and everything they load, the licence of what is not ours
// included. Read-only.
//
//go:embed *.html *.css *.svg *.js vendor/*.mjs vendor/*.LICENSE
var Files embed.FS
