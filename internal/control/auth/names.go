package auth

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"strings"
)

var (
	namePattern = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{1,128}$`)
	keyPattern  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
)

// The patterns in words, for sentences that refuse something.
const (
	NameRule = "must be 1 to 128 characters of A-Z a-z 0-9 _ . @ + -"
	KeyRule  = "must be 1 to 128 characters of A-Z a-z 0-9 _ -"
)

// MinAPIKey is the shortest API key in characters: SDKs of the third generation
// throw when they are made with a shorter one.
const MinAPIKey = 8

// MaxAPIKey bounds an API key in characters.
const MaxAPIKey = 256

// ValidName says whether s may be a user id, a package name or a stream's name.
func ValidName(s string) bool { return namePattern.MatchString(s) }

// ValidKey says whether s may be a stream key, a playback id or a stream id:
// one segment of a path, safe in every URL.
func ValidKey(s string) bool { return keyPattern.MatchString(s) }

// UserID is the one spelling of a user id: lower case, without spaces around.
// Ids are e-mail addresses as a rule, and the phones spell those as they like.
func UserID(id string) string { return strings.ToLower(strings.TrimSpace(id)) }

// NewStreamID returns a random stream id of 10 characters: it travels to the
// glasses over BLE, which carries 11. It is no secret and gives no right.
func NewStreamID() string {
	const letters = "abcdefghijkmnpqrstuvwxyz23456789" // 32, none that look alike
	var b [8]byte
	fill(b[:])
	bits := binary.LittleEndian.Uint64(b[:])
	id := []byte("s123456789")
	for i := range id[1:] {
		id[i+1] = letters[bits>>(5*i)&31]
	}
	return string(id)
}

// NewKey returns a random secret of 192 bits in 32 url-safe characters: an
// ingest key, a playback id, an API key or a token. Draw each one for itself:
// knowing one must never give another.
func NewKey() string {
	var b [24]byte
	fill(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// fill writes random bytes. crypto/rand.Read never fails: it ends the process
// when the system has no randomness.
func fill(b []byte) { _, _ = rand.Read(b) }
