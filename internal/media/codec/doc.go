// Package codec holds the codecs that streams may carry, one type and one file
// each: parameters, what they say of the stream, and their mappings onto the
// containers. All values are immutable and safe for any number of readers; no
// other package needs to switch on a codec's name.
package codec
