package live

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"glimpse/internal/media/udp"
)

// Options of Dial. Zero fields take the defaults.
type Options struct {
	StreamID   string        // at most 512 bytes
	Passphrase string        // MinPassphrase to MaxPassphrase bytes; empty: plain
	KeyLength  int           // 16, 24 or 32; default 16
	Latency    time.Duration // see Config; default 120 ms
}

// RefusedError is a listener's refusal.
type RefusedError struct{ Reason Reason }

// Error gives the code; SRT has no words.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("srt: the listener refused the stream: code %d", e.Reason)
}

// shakeAgain is when an unanswered handshake is repeated.
const shakeAgain = 250 * time.Millisecond

// call is a handshake that is going on; guarded by the connection's lock.
type call struct {
	o       Options
	sending []byte // what is repeated
	keys    []byte
	done    chan struct{}
	err     error
}

// Dial calls a listener. It returns when that has agreed, or ctx ends. Errors:
// *RefusedError, and those of the network. Close the connection.
func Dial(ctx context.Context, address string, o Options) (*Conn, error) {
	addr, err := resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	if o.Latency == 0 {
		o.Latency = 120 * time.Millisecond
	}
	if o.KeyLength == 0 {
		o.KeyLength = 16
	}
	pc, err := udp.Listen(family(addr.Addr()), ":0", socketBuffer)
	if err != nil {
		return nil, fmt.Errorf("srt: %w", err)
	}
	s := newSocket(pc, func(any) {})
	c := newConn(s, udp.Path{Remote: addr}, time.Now(), random32()&seqMask)
	c.mtu = maxPacket + 28
	k := &call{o: o, done: make(chan struct{})}
	if o.Passphrase != "" {
		if k.keys, err = c.crypto.offer(o.Passphrase, o.KeyLength); err != nil {
			_ = pc.Close()
			return nil, err
		}
	}
	c.call = k
	s.add(c)
	hello := handshake{
		version: 4, extensions: 2, seq: c.out.next, mtu: uint32(c.mtu), window: window, kind: induction, socket: c.id, peer: addr.Addr(),
	}
	k.sending = hello.append(appendControl(nil, typeHandshake, 0, 0, 0, 0), false)
	s.run()
	if err := k.wait(ctx, c); err != nil {
		c.fail(err)
		s.close()
		return nil, err
	}
	return c, nil
}

// wait repeats what is to be answered until there is an end.
func (k *call) wait(ctx context.Context, c *Conn) error {
	t := time.NewTicker(shakeAgain)
	defer t.Stop()
	for {
		c.mu.Lock()
		if k.sending != nil {
			c.send(k.sending)
		}
		c.mu.Unlock()
		select {
		case <-k.done:
			return k.err
		case <-ctx.Done():
			return fmt.Errorf("srt: connect: %w", context.Cause(ctx))
		case <-t.C:
		}
	}
}

// answered takes the listener's handshakes. Conn.mu is held.
func (k *call) answered(c *Conn, h header, body []byte, now time.Duration) {
	shake, err := parseHandshake(body)
	if err != nil || k.sending == nil {
		return
	}
	switch {
	case shake.kind == induction && shake.version == 5 && shake.extensions == magic:
		k.conclude(c, shake, now)
	case shake.kind == conclusion && shake.socket != 0:
		if shake.version != 5 || shake.extend(body[handshakeSize:]) != nil || !shake.hello {
			k.end(&RefusedError{Rogue})
			return
		}
		if k.keys != nil && len(shake.keys) <= 4 { // it does not have the passphrase
			k.end(&RefusedError{BadSecret})
			return
		}
		c.peer, c.mtu = shake.socket, min(c.mtu, int(shake.mtu))
		c.in = newReceiver(shake.seq, &c.socket.memory)
		c.recvDelay, c.sendDelay = time.Duration(shake.sendDelay)*time.Millisecond, time.Duration(shake.recvDelay)*time.Millisecond
		c.timing.stamp, c.timing.base = int64(h.stamp), now-time.Duration(h.stamp)*time.Microsecond
		k.end(nil)
	case shake.kind >= 1000 && shake.kind < 1<<16:
		k.end(&RefusedError{Reason(shake.kind)})
	}
}

// conclude answers the induction with what is wanted.
func (k *call) conclude(c *Conn, shake handshake, now time.Duration) {
	latency := uint16(k.o.Latency / time.Millisecond)
	shake.version, shake.kind, shake.socket, shake.seq = 5, conclusion, c.id, c.out.next
	shake.mtu, shake.window, shake.peer = uint32(c.mtu), window, c.path.Remote.Addr()
	shake.hello, shake.srt, shake.flags, shake.recvDelay, shake.sendDelay = true, version, helloFlags, latency, latency
	shake.encryption, shake.extensions, shake.keys, shake.streamID = 0, hasHello, k.keys, k.o.StreamID
	if k.keys != nil {
		shake.encryption, shake.extensions = uint16(k.o.KeyLength/8), shake.extensions|hasKeys
	}
	if shake.streamID != "" {
		shake.extensions |= hasConfig
	}
	k.sending = shake.append(appendControl(nil, typeHandshake, 0, 0, uint32(now/time.Microsecond), 0), false)
	c.send(k.sending)
}

// end wakes Dial.
func (k *call) end(err error) {
	k.err, k.sending = err, nil
	close(k.done)
}

// resolve finds the address to call.
func resolve(ctx context.Context, address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("srt: %w", err)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("srt: %w", err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("srt: %w", err)
	}
	return netip.AddrPortFrom(ips[0].Unmap(), uint16(number)), nil
}

// family is the network of an address.
func family(a netip.Addr) string {
	if a.Is4() {
		return "udp4"
	}
	return "udp6"
}
