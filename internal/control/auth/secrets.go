package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The files in data_dir that hold the secrets which are not configured.
const (
	AdminTokenFile = "admin_token"
	CoreSecretFile = "core_token_secret"
)

// MinSecret is the shortest configured admin token or core token secret.
const MinSecret = 16

// Secret returns the configured value, or what the file of that name in dir
// holds, or a new random value that it writes there (0600) first. Several
// processes may call it at once and get the same value: that lets
// "glimpse user token" run beside the server, or before it.
func Secret(dir, name, configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	path := filepath.Join(dir, name)
	for range 2 {
		data, err := os.ReadFile(path)
		if err == nil {
			value := string(bytes.TrimSpace(data))
			if len(value) < MinSecret {
				return "", fmt.Errorf("%s holds no secret of at least %d characters; delete it to have a new one made", path, MinSecret)
			}
			return value, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("read secret: %w", err)
		}
		if err := writeNew(dir, path, NewKey()+"\n"); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("write secret: %w", err)
		}
	}
	return "", fmt.Errorf("%s comes and goes: something else deletes it", path)
}

// writeNew puts data into a file that appears whole or not at all, and leaves a
// file that is already there alone (fs.ErrExist).
func writeNew(dir, path, data string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".new-") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.WriteString(data)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Link(tmp.Name(), path) // unlike a rename, never replaces
}

// HashKey is how an API key is stored: SHA-256 in hex. API keys are random, so
// no salt and no slow hash are needed. Configured keys may be weak; they lie in
// the file in the clear anyway.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// MatchKey compares a key with a stored hash in constant time.
func MatchKey(hash, key string) bool {
	return subtle.ConstantTimeCompare([]byte(hash), []byte(HashKey(key))) == 1
}

// Equal compares two secrets in a time that depends on neither's content nor
// length. An empty secret equals nothing.
func Equal(secret, given string) bool {
	a, b := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && secret != ""
}

// Alias is a short name for something secret that belongs to a scope, the same at
// every start and of no use to whoever wants to guess the secret: for logs, and as
// an id in the API. key is a secret of the server.
func Alias(key, scope, secret string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(scope + "\x00" + secret))
	return hex.EncodeToString(mac.Sum(nil)[:6])
}
