// Package e2e drives the real binary with strangers: ffmpeg, Chromium, hls.js
// and the published @mentra/sdk in all its styles. Its tests need what
// `make deps` installs, and fail when something is missing.
package e2e
