// Package udp is a UDP socket that is read and written in bursts: media come as
// pictures, many datagrams at once, from many peers, and by far the most of what
// they cost is waking up for each.
//
// On Linux a socket is not in the runtime's poller, which is told of every datagram
// and wakes a thread for each. Instead its reader sleeps for as long as it may, for a
// few milliseconds, and then takes all that has come with one system call for many
// (recvmmsg); when it was each datagram came is known from the kernel. Only a
// reader that may not sleep blocks, with a thread. Datagrams of one size to one peer
// leave in one call that the kernel cuts up (UDP_SEGMENT).
//
// Calls that cannot block are made past the scheduler (RawSyscall). By the usual way
// each would wake the runtime's monitor, which then looks 20,000 times a second for
// calls that block: of ten publishers by WebRTC that was a fifth of the cost. Such a
// call lasts tens of microseconds at most, by which a collection may be held up.
//
// The unsafe parts are the system calls themselves and the kernel's view of
// addresses. All that they point to lies in the inbox, which lives as long as its
// socket, in a Destination, or in the caller's bytes.
//
// Who owns what: the caller owns the goroutine that reads; everything else may be
// called by any number. A Socket has no goroutines. Elsewhere than on Linux it is the
// standard library's.
package udp
