package demo

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"glimpse/protocol"
	"glimpse/sdk"
)

// app is the demo app's life with one wearer.
type app struct {
	session *sdk.Session
	log     *slog.Logger
	live    func(protocol.URLs) // the stream became active
	clipped func(page string)   // a clip was made

	orders chan order
	mu     sync.Mutex
	stream *sdk.Stream // nil while there is none
	asked  bool        // the wearer asked to stop it
}

// onSession is the app: it streams until the session ends.
func onSession(log *slog.Logger, live func(protocol.URLs), clipped func(string)) func(context.Context, *sdk.Session) error {
	return func(ctx context.Context, s *sdk.Session) error {
		a := &app{session: s, log: log, live: live, clipped: clipped, orders: make(chan order, 8)}
		var helpers sync.WaitGroup
		defer helpers.Wait()
		statuses := s.Statuses(ctx) // before the start, so that none is missed
		helpers.Go(func() {
			for st := range statuses {
				a.onStatus(ctx, st)
			}
		})
		helpers.Go(func() { a.listen(ctx) })
		helpers.Go(func() { a.watchHealth(ctx) })
		for {
			again := a.broadcast(ctx)
			if ctx.Err() != nil || !a.pause(ctx, again) {
				return nil
			}
		}
	}
}

// broadcast starts a stream and stays with it until it ends or the wearer stops
// it. again says that it failed and is worth another try.
func (a *app) broadcast(ctx context.Context) (again bool) {
	a.show(ctx, textStarting)
	st, err := a.session.StartManaged(ctx, sdk.ManagedOptions{Quality: "720p"})
	if err != nil {
		a.log.Warn("stream did not start", "err", err)
		a.show(ctx, failureText(err))
		return true
	}
	a.set(st)
	defer a.set(nil)
	ended := make(chan sdk.Status, 1)
	var follower sync.WaitGroup
	defer follower.Wait()
	follower.Go(func() {
		var last sdk.Status
		for last = range st.Statuses(ctx) {
		}
		ended <- last
	})
	for {
		select {
		case last := <-ended:
			return last.Err != nil
		case o := <-a.orders:
			if o != orderStop {
				continue
			}
			a.ask()
			a.show(ctx, textStopping)
			if err := st.Stop(ctx); err != nil {
				a.log.Warn("stream did not stop", "err", err)
				continue
			}
			<-ended
			return false
		}
	}
}

// pause waits until the next start is due: a while after a failure, else when
// the wearer asks for it.
func (a *app) pause(ctx context.Context, again bool) bool {
	var due <-chan time.Time
	if again {
		due = time.After(restartAfter)
	}
	for {
		select {
		case <-due:
			return true
		case o := <-a.orders:
			if o == orderStart {
				return true
			}
			if o == orderStop {
				due = nil
			}
		case <-ctx.Done():
			return false
		}
	}
}

func (a *app) onStatus(ctx context.Context, st sdk.Status) {
	a.log.Info("stream status", "stream", st.StreamID, "status", st.State, "message", st.Message)
	text := statusText(st)
	if st.State == protocol.StatusStopped && a.wasAsked() {
		text = textStopped
	}
	if text != "" {
		a.show(ctx, text)
	}
	if st.State == protocol.StatusActive {
		a.live(st.URLs)
	}
}

// listen obeys the wearer's voice.
func (a *app) listen(ctx context.Context) {
	for speech, err := range a.session.Transcriptions(ctx) {
		if err != nil {
			a.log.Warn("the app cannot hear the wearer", "err", err)
			return
		}
		switch o := heard(speech); o {
		case orderStatus:
			text := textNone
			if st := a.current(); st != nil {
				text = "Stream Status: " + st.Status().State
			}
			a.show(ctx, text)
		case orderClip:
			a.clip(ctx)
		case orderStart, orderStop:
			select {
			case a.orders <- o:
			case <-ctx.Done():
				return
			}
		}
	}
}

// clipLength is what "clip that" keeps.
const clipLength = 30 * time.Second

// clip keeps what the wearer has just seen, and shows where it can be watched.
func (a *app) clip(ctx context.Context) {
	st := a.current()
	if st == nil {
		a.show(ctx, textNone)
		return
	}
	clip, err := st.Clip(ctx, clipLength)
	if err != nil {
		a.log.Warn("no clip", "err", err)
		a.show(ctx, textNoClip)
		return
	}
	a.show(ctx, "🎬 Clip saved\n\n"+clip.Page)
	a.clipped(clip.Page)
}

// watchHealth warns the wearer when too many pictures are lost.
func (a *app) watchHealth(ctx context.Context) {
	t := time.NewTicker(healthEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		st := a.current()
		if st == nil {
			continue
		}
		stats, err := st.Stats(ctx)
		if err != nil || stats == nil {
			continue
		}
		percent, ok := DropRate(*stats)
		if !ok {
			continue
		}
		if log, text := warning(percent); text != "" {
			a.log.Warn(log, "stream", st.ID())
			a.show(ctx, text)
		}
	}
}

func (a *app) show(ctx context.Context, text string) {
	if err := a.session.ShowText(ctx, text); err != nil && ctx.Err() == nil {
		a.log.Warn("text not shown", "err", err)
	}
}

func (a *app) set(st *sdk.Stream) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stream = st
	if st != nil {
		a.asked = false
	}
}

func (a *app) ask() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = true
}

func (a *app) wasAsked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func (a *app) current() *sdk.Stream {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stream
}
