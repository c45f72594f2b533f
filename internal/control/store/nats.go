package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// readyWait bounds the start of the embedded server.
const readyWait = 5 * time.Second

// NATSConfig says where the embedded store lives. The zero value of a limit
// means its default.
type NATSConfig struct {
	Dir       string // its own folder, data_dir/nats; made when missing
	MaxStore  int64  // bytes on disk, default 1 GiB
	MaxMemory int64  // bytes of memory streams, default 64 MiB
	// MaxBucket bounds single buckets by name in bytes on disk, so that one that
	// strangers fill leaves room for the rest: a full one answers ErrFull.
	MaxBucket map[string]int64
}

// NATS is a backend on an embedded NATS server with JetStream. It listens
// nowhere: the one connection is in-process. Every write is on disk before it
// is acknowledged. Make it with OpenNATS, close it last.
type NATS struct {
	cfg  NATSConfig
	log  *slog.Logger
	srv  *server.Server
	conn *nats.Conn
	js   jetstream.JetStream
	once sync.Once
}

// OpenNATS starts the embedded server on cfg.Dir, which only one process may
// use (LockDataDir). What cannot be read there is moved aside into a folder
// beside cfg.Dir, named in losses and logged as an error, and the server starts
// without it. It returns an error when the server is not ready within 5 s.
func OpenNATS(cfg NATSConfig, log *slog.Logger) (n *NATS, losses []Loss, err error) {
	if cfg.MaxStore == 0 {
		cfg.MaxStore = 1 << 30
	}
	if cfg.MaxMemory == 0 {
		cfg.MaxMemory = 64 << 20
	}
	// Each further round starts with less to read: one after buckets were moved,
	// one after the whole store was.
	for range 3 {
		var damaged map[string]string
		if n, damaged, err = openChecked(cfg, log); err == nil && len(damaged) == 0 {
			return n, losses, nil
		}
		if err != nil && !errors.Is(err, errUnusable) {
			return nil, losses, err
		}
		more, asideErr := setAside(cfg.Dir, damaged, err)
		for _, l := range more {
			log.Error("part of the store could not be read and was moved aside; the server starts without it",
				"lost", l.What, "why", l.Why, "moved_to", l.MovedTo)
		}
		losses = append(losses, more...)
		if asideErr != nil {
			return nil, losses, errors.Join(err, asideErr)
		}
	}
	return nil, losses, fmt.Errorf("the store in %s does not start: %w", cfg.Dir, err)
}

// errUnusable says that the server does not start on what the folder holds.
var errUnusable = errors.New("embedded nats cannot use its folder")

// openChecked starts the server and looks for damage; with any, the server is
// closed again and n is nil.
func openChecked(cfg NATSConfig, log *slog.Logger) (n *NATS, damaged map[string]string, err error) {
	n, err = startNATS(cfg, log)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyWait)
	defer cancel()
	damaged, err = n.damaged(ctx)
	if err != nil || len(damaged) > 0 {
		n.stop()
		return nil, damaged, err
	}
	if err := n.writeMarks(ctx); err != nil {
		n.stop()
		return nil, nil, err
	}
	return n, nil, nil
}

// serverOptions are those of the embedded server.
func serverOptions(cfg NATSConfig) *server.Options {
	return &server.Options{
		ServerName:             "glimpse",
		DontListen:             true,
		NoSigs:                 true, // its own handler would call os.Exit on SIGTERM
		JetStream:              true,
		StoreDir:               cfg.Dir,
		SyncAlways:             true, // acknowledged means on disk
		JetStreamMaxMemory:     cfg.MaxMemory,
		JetStreamMaxStore:      cfg.MaxStore,
		MaxPayload:             MaxValue + 64<<10, // with its envelope
		DisableJetStreamBanner: true,
		NoSystemAccount:        true,
	}
}

// startNATS runs the server and connects to it.
func startNATS(cfg NATSConfig, log *slog.Logger) (*NATS, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make store folder: %w", err)
	}
	srv, err := server.NewServer(serverOptions(cfg))
	if err != nil {
		return nil, fmt.Errorf("make embedded nats: %w", err)
	}
	lines := &natsLog{log: log.With("part", "nats")}
	srv.SetLoggerV2(lines, false, false, false)
	n := &NATS{cfg: cfg, log: log, srv: srv}
	deadline := time.Now().Add(readyWait)
	srv.Start()
	if lines.fatal.Load() != nil || !srv.JetStreamEnabled() {
		n.stop()
		return nil, fmt.Errorf("%w %s: %s", errUnusable, cfg.Dir, lines.reason())
	}
	if !srv.ReadyForConnections(time.Until(deadline)) {
		n.stop()
		return nil, fmt.Errorf("embedded nats on %s is not ready after %s", cfg.Dir, readyWait)
	}
	n.conn, err = nats.Connect("", nats.InProcessServer(srv), nats.Name("store"), nats.MaxReconnects(-1),
		nats.Timeout(max(time.Until(deadline), time.Second)))
	if err != nil {
		n.stop()
		return nil, fmt.Errorf("connect to embedded nats: %w", err)
	}
	if n.js, err = jetstream.New(n.conn); err != nil {
		n.stop()
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return n, nil
}

// Close implements Backend: it notes how far the buckets have come, closes the
// connection and waits until the server has written and ended.
func (n *NATS) Close() {
	n.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), readyWait)
		defer cancel()
		if err := n.writeMarks(ctx); err != nil {
			n.log.Warn("the store's marks are not up to date; a later loss may go unnoticed", "err", err)
		}
		n.stop()
	})
}

func (n *NATS) stop() {
	if n.conn != nil {
		n.conn.Close()
	}
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}

// Bucket implements Backend.
func (n *NATS) Bucket(ctx context.Context, name string) (Raw, error) {
	kv, err := n.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:       name,
		History:      1,
		MaxValueSize: MaxValue,
		MaxBytes:     cmp.Or(n.cfg.MaxBucket[name], -1),
		Storage:      jetstream.FileStorage,
	})
	if err != nil {
		return nil, natsError(err)
	}
	return natsBucket{kv}, nil
}

type natsBucket struct{ kv jetstream.KeyValue }

func (b natsBucket) Get(ctx context.Context, key string) ([]byte, error) {
	entry, err := b.kv.Get(ctx, key)
	if err != nil {
		return nil, natsError(err)
	}
	return entry.Value(), nil
}

func (b natsBucket) Put(ctx context.Context, key string, value []byte) error {
	_, err := b.kv.Put(ctx, key, value)
	return natsError(err)
}

func (b natsBucket) Create(ctx context.Context, key string, value []byte) error {
	_, err := b.kv.Create(ctx, key, value)
	return natsError(err)
}

func (b natsBucket) Delete(ctx context.Context, key string) error {
	// KV deletes keys that are not there without a word.
	entry, err := b.kv.Get(ctx, key)
	if err != nil {
		return natsError(err)
	}
	err = b.kv.Delete(ctx, key, jetstream.LastRevision(entry.Revision()))
	return natsError(err)
}

func (b natsBucket) All(ctx context.Context) (map[string][]byte, error) {
	watch, err := b.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, natsError(err)
	}
	defer func() { _ = watch.Stop() }() // the server drops the consumer by itself if this fails
	values := map[string][]byte{}
	for {
		select {
		case entry, ok := <-watch.Updates():
			if !ok {
				return nil, ErrClosed
			}
			if entry == nil { // the end of what was there at the start
				return values, nil
			}
			values[entry.Key()] = entry.Value()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// natsError translates the client's errors into ours.
func natsError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		return ErrNotFound
	case errors.Is(err, jetstream.ErrKeyExists):
		return ErrExists
	case errors.Is(err, nats.ErrConnectionClosed):
		return ErrClosed
	}
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.Description == server.ErrMaxBytes.Error() {
		return ErrFull
	}
	return err
}

// natsLog hands the embedded server's lines to slog. Its notices are start-up
// chatter, so they become debug lines. What it calls fatal it survives here (the
// process is ours), and the reason is kept.
type natsLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string]
}

func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *natsLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *natsLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.fatal.Store(&why)
	l.log.Error(why)
}

// reason is the last fatal line, for an error.
func (l *natsLog) reason() string {
	if why := l.fatal.Load(); why != nil {
		return *why
	}
	return "the store is switched off"
}
