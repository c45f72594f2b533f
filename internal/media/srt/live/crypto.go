package live

import (
	"bytes"
	"fmt"
	"time"
)

// crypto is a connection's encryption, guarded by Conn.mu. The zero value sends
// and takes plain packets.
type crypto struct {
	passphrase string
	length     int // of the keys
	rx, tx     *keys
	odd        bool   // which key tx uses
	used       uint64 // packets under it
	every      uint64 // packets under one key; default keyPackets

	learned   []byte // the peer's last key material
	learnedAt time.Duration

	next   []byte // key material that the peer has not confirmed
	nextAt time.Duration
}

// sending returns the flag of the key that a packet is sent with, and sees to it
// that keys change.
func (k *crypto) sending() byte {
	if k.tx == nil {
		return 0
	}
	every := k.every
	if every == 0 {
		every = keyPackets
	}
	k.used++
	switch ahead := min(keyAhead, every/2); {
	case k.used == every-ahead:
		k.tx.renew(k.other(), k.length)
		k.next, _ = k.tx.material(k.passphrase, k.other()) // the passphrase worked before
		k.nextAt = 0
	case k.used >= every && k.next == nil: // the peer has the new one
		k.odd, k.used = !k.odd, 0
	}
	if k.odd {
		return flagOdd
	}
	return flagEven
}

// other is the index of the key that is not in use.
func (k *crypto) other() int {
	if k.odd {
		return 0
	}
	return 1
}

// announce sends a new key until the peer confirms it.
func (k *crypto) announce(c *Conn, now time.Duration) {
	if k.next == nil || (k.nextAt > 0 && now-k.nextAt < max(2*c.timing.rtt, 5*tick)) {
		return
	}
	k.nextAt = now
	c.control(typeUser, extKeys, 0, k.next)
}

// message takes key material that comes while the connection stands.
func (k *crypto) message(c *Conn, subtype uint16, body []byte) {
	switch {
	case k.rx == nil:
	case subtype == extKeysAck && len(body) > 4:
		k.next = nil
	case subtype == extKeys && keyLength(body) == k.length:
		now := c.since(time.Now())
		if !bytes.Equal(body, k.learned) {
			if k.learned != nil && now-k.learnedAt < time.Second { // unwrapping is dear, and keys last for hours
				return
			}
			k.learnedAt = now
			if _, err := k.rx.learn(body, k.passphrase); err != nil {
				return
			}
			k.learned = append([]byte(nil), body...)
		}
		c.control(typeUser, extKeysAck, 0, body)
	}
}

// answer takes the key material of a caller: both directions begin with its keys.
func (k *crypto) answer(material []byte, passphrase string) error {
	k.rx, k.tx = &keys{}, &keys{}
	flags, err := k.rx.learn(material, passphrase)
	if err != nil {
		return err
	}
	k.use(k.rx, flags, passphrase, keyLength(material))
	return nil
}

// offer makes the key material of a caller.
func (k *crypto) offer(passphrase string, length int) ([]byte, error) {
	if len(passphrase) < MinPassphrase || len(passphrase) > MaxPassphrase || (length != 16 && length != 24 && length != 32) {
		return nil, fmt.Errorf("srt: a passphrase has %d to %d bytes", MinPassphrase, MaxPassphrase)
	}
	k.rx, k.tx = newKeys(length), &keys{}
	k.use(k.rx, flagEven, passphrase, length)
	return k.rx.material(passphrase, 0)
}

// use makes tx a copy of the keys: later each direction changes its own.
func (k *crypto) use(first *keys, flags byte, passphrase string, length int) {
	*k.tx = *first
	k.passphrase, k.length, k.odd = passphrase, length, flags&flagEven == 0
}
