// Package sdk is for apps of smart glasses in Go: it starts and stops streams,
// shows texts and hears the wearer, on Glimpse or any MentraOS cloud.
//
// An App answers the cloud's webhook. For each wearer who starts the app it
// connects a websocket, waits until the cloud has acknowledged it, and calls
// OnSession with a Session; the call lasts as long as the app runs for that
// wearer:
//
//	app, err := sdk.New(sdk.Config{
//		Package: "com.example.live", APIKey: key, Cloud: "http://localhost:8002",
//		OnSession: func(ctx context.Context, s *sdk.Session) error {
//			stream, err := s.StartManaged(ctx, sdk.ManagedOptions{})
//			if errors.Is(err, sdk.ErrCameraBusy) {
//				return s.ShowText(ctx, "❌ Camera is busy")
//			}
//			if err != nil {
//				return err
//			}
//			s.ShowText(ctx, "🟢 "+stream.URLs().Preview)
//			<-ctx.Done()
//			return nil
//		},
//	})
//	http.ListenAndServe(":7010", app)
//
// A lost websocket is connected again after 1, 2, 4 and then every 8 seconds
// for a minute, which survives a restart of the cloud; streams, iterators and
// calls in progress just wait. After that, or when the cloud says that the
// session is over, its context ends.
//
// On the wire it is a third-generation SDK: messages are called stream_request
// and stream_status, and the subscription to them tells the cloud so before the
// first request. It introduces itself by a complete first message, as the
// AppServer classes do, and not by headers: nothing can be lost on the way then,
// and a reconnection is the same message again, which every cloud understands.
//
// The webhook is not authenticated, by the protocol: whoever reaches it can
// make an app connect somewhere and hand over its API key. Set Config.Cloud, or
// keep the webhook on a private network.
//
// All types are safe for concurrent use. An App owns its Sessions and a Session
// owns its goroutines; Close waits for all of them. No lock is held while user
// code runs. Those that nest: Session.subWrite before Session.mu, Stream.mu
// before its feed's.
package sdk
