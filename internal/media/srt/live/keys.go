package live

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
)

// Lengths of passphrases (§6.1.4, as libsrt has them).
const (
	MinPassphrase = 10
	MaxPassphrase = 79
)

// The errors of key material.
var (
	errKeys       = errors.New("malformed key material")
	errPassphrase = errors.New("wrong passphrase")
)

// keys are what one direction is encrypted with (§6). Index 0 is the even key, 1
// the odd one; nil when there is none.
type keys struct {
	salt   [16]byte
	raw    [2][]byte
	cipher [2]cipher.Block
}

// newKeys makes one even key of 16, 24 or 32 bytes.
func newKeys(length int) *keys {
	k := &keys{}
	_, _ = rand.Read(k.salt[:]) // never fails
	k.renew(0, length)
	return k
}

// renew makes a new key.
func (k *keys) renew(i, length int) {
	raw := make([]byte, length)
	_, _ = rand.Read(raw) // never fails
	k.set(i, raw)
}

func (k *keys) set(i int, raw []byte) {
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic(err) // lengths were checked
	}
	k.raw[i], k.cipher[i] = raw, block
}

// crypt encrypts or decrypts a payload in place (§6.2.2); false when there is no
// such key.
func (k *keys) crypt(flags byte, seq uint32, payload []byte) bool {
	i := 0
	if flags&flagOdd != 0 {
		i = 1
	}
	if flags&flagKeys == flagKeys || k.cipher[i] == nil {
		return false
	}
	var iv [16]byte
	binary.BigEndian.PutUint32(iv[10:], seq)
	subtle.XORBytes(iv[:14], iv[:14], k.salt[:14])
	cipher.NewCTR(k.cipher[i], iv[:]).XORKeyStream(payload, payload)
	return true
}

// Layout of key material (§3.2.2).
const (
	keysFixed = 16
	keysSalt  = 16
	keysCheck = 8 // what wrapping adds
)

// material is the message that tells the peer a key, or both of them.
func (k *keys) material(passphrase string, which ...int) ([]byte, error) {
	var plain []byte
	bits := byte(0)
	for _, i := range which {
		plain, bits = append(plain, k.raw[i]...), bits|1<<i
	}
	length := len(plain) / len(which)
	kek, err := wrappingKey(passphrase, k.salt, length)
	if err != nil {
		return nil, err
	}
	b := []byte{0x12, 0x20, 0x29, bits, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, keysSalt / 4, byte(length / 4)}
	b = append(b, k.salt[:]...)
	return append(b, wrap(kek, plain)...), nil
}

// keyLength is the length of the keys in a message, 0 when it is malformed.
func keyLength(b []byte) int {
	if len(b) < keysFixed+keysSalt || b[0] != 0x12 || b[1] != 0x20 || b[2] != 0x29 || b[8] != 2 || b[14] != keysSalt/4 {
		return 0
	}
	n, count := 4*int(b[15]), 1
	switch b[3] & 3 {
	case 0:
		return 0
	case 3:
		count = 2
	}
	if (n != 16 && n != 24 && n != 32) || len(b) != keysFixed+keysSalt+count*n+keysCheck {
		return 0
	}
	return n
}

// learn takes the keys of a message in, and returns the flags of those it held.
// Nothing changes on an error: errKeys, errPassphrase.
func (k *keys) learn(b []byte, passphrase string) (flags byte, err error) {
	n := keyLength(b)
	if n == 0 {
		return 0, errKeys
	}
	salt := [16]byte(b[keysFixed:])
	kek, err := wrappingKey(passphrase, salt, n)
	if err != nil {
		return 0, err
	}
	plain, ok := unwrap(kek, b[keysFixed+keysSalt:])
	if !ok {
		return 0, errPassphrase
	}
	k.salt = salt
	for i := range 2 {
		if b[3]&(1<<i) != 0 {
			k.set(i, plain[:n:n])
			plain = plain[n:]
			flags |= flagEven << i
		}
	}
	return flags, nil
}

// wrappingKey makes the key that keys travel under (§6.1.4).
func wrappingKey(passphrase string, salt [16]byte, length int) ([]byte, error) {
	kek, err := pbkdf2.Key(sha1.New, passphrase, salt[8:], 2048, length)
	if err != nil {
		return nil, fmt.Errorf("srt: %w", err)
	}
	return kek, nil
}

const wrapIV = 0xa6a6a6a6a6a6a6a6

// wrap encrypts keys under another (RFC 3394 §2.2.1).
func wrap(kek, plain []byte) []byte {
	block, _ := aes.NewCipher(kek) // lengths were checked
	n := len(plain) / 8
	out := make([]byte, 8+len(plain))
	copy(out[8:], plain)
	a := uint64(wrapIV)
	var buf [16]byte
	for j := range 6 {
		for i := 1; i <= n; i++ {
			binary.BigEndian.PutUint64(buf[:], a)
			copy(buf[8:], out[8*i:8*i+8])
			block.Encrypt(buf[:], buf[:])
			a = binary.BigEndian.Uint64(buf[:]) ^ uint64(n*j+i)
			copy(out[8*i:], buf[8:])
		}
	}
	binary.BigEndian.PutUint64(out, a)
	return out
}

// unwrap undoes wrap; ok is false when the key is another.
func unwrap(kek, wrapped []byte) (plain []byte, ok bool) {
	block, _ := aes.NewCipher(kek)
	n := len(wrapped)/8 - 1
	plain = append([]byte(nil), wrapped[8:]...)
	a := binary.BigEndian.Uint64(wrapped)
	var buf [16]byte
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			binary.BigEndian.PutUint64(buf[:], a^uint64(n*j+i))
			copy(buf[8:], plain[8*i-8:8*i])
			block.Decrypt(buf[:], buf[:])
			a = binary.BigEndian.Uint64(buf[:])
			copy(plain[8*i-8:], buf[8:])
		}
	}
	return plain, a == wrapIV
}
