// Package auth decides who is who: core tokens of glasses, API keys of apps,
// the operator's admin token and browser sessions, and the random ids and keys
// of streams.
//
// It holds no connection and no route. Everything is safe for concurrent use;
// Logins and Throttle each have one mutex that is never held while anything
// else is called. Secrets never appear in an error of this package.
package auth
