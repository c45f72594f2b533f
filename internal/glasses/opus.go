package glasses

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"

	"glimpse/internal/glasses/source"
)

// lacksOpus says whether a film has sound, but not in the codec that WebRTC takes.
func lacksOpus(film *source.File) bool {
	return len(film.Tracks()) == 2 && len(film.WithSound("Opus").Tracks()) == 1
}

// withOpus makes ffmpeg write a copy of a film that has its sound in Opus as well,
// and opens that. The copy is gone from the disk when withOpus returns.
func withOpus(ctx context.Context, name string) (*source.File, error) {
	copied, err := os.CreateTemp("", "glimpse-film-*.mp4")
	if err != nil {
		return nil, fmt.Errorf("copy of the film: %w", err)
	}
	defer func() { _ = os.Remove(copied.Name()) }()
	_ = copied.Close()
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin", "-y", "-protocol_whitelist", "file", "-i", "file:"+name,
		"-map", "0:v:0", "-map", "0:a:0", "-map", "0:a:0", "-c", "copy", "-c:a:1", "libopus", "-b:a:1", "64k", "-f", "mp4", "file:"+copied.Name())
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("ffmpeg: %w: %.300s", err, said.String())
	}
	return source.Open(copied.Name())
}
