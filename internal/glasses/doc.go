// Package glasses is a pair of simulated smart glasses together with the phone
// that they hang on, for demos, tests and development without hardware.
//
// To the cloud it is the real thing: it keeps a websocket to /glasses-ws,
// obeys start_stream, stop_stream and keep_stream_alive in both spellings,
// publishes a film by RTMP as if it came from a camera, measures what it
// really wrote, reconnects and gives up as the glasses do (WIRE c.4). To the
// person at the keyboard it shows texts as boxes and sounds as notes; typed
// lines, or those of a script, are what the wearer does and what happens to the
// connections, and they make the glasses behave in every odd way that real ones
// are known for: Help lists them, testdata shows what apps hear of each.
//
// Where it differs from real glasses: it publishes exactly to the URL it is
// given (real ones append "/stream" to an RTMP path of one segment), and it
// plays its film as it is, whatever picture size and bit rate the app wished.
//
// Who owns what: a Glasses owns one actor loop, on which all its state lives;
// the link (websocket) and each stream run in goroutines of their own and post
// to the loop, which never waits for them. Run returns when all have ended.
// The screen has a lock of its own, under which nothing else is taken; the
// network's lock is taken before its connections'.
package glasses
