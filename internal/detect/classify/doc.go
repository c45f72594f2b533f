// Package classify answers single pictures by websocket, in the protocol of the
// animal detection demo's classifier (port 8765): requests of type
// detection_request with a base64 JPEG and an image_id, answers of type
// detection_response with the same id, ping and pong.
//
// What is added to that protocol: width, height and model in an answer's data,
// error_code beside error, and an answer to everything, also to what cannot be
// understood (type error). Every request gets exactly one answer with its id; they
// may come in another order than the requests. At most five requests of a
// connection wait; one more makes the oldest be answered with the code dropped.
//
// A Server is an http.Handler. Each connection has a reader, which owns the
// queue, and a worker, which writes; both end with the connection, and Close waits
// for them. The one lock is the connection's; nothing is called under it.
package classify
