// Package tapview is the command "glimpse tap": it reads a wearer's messages from
// a server's API and prints them one a line, so that whoever writes an app sees
// what the cloud, the glasses and the app say to each other.
//
// Run owns everything it starts; there are no locks.
package tapview
