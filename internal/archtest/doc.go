// Package archtest holds tests of the repository itself: import rules, package
// comments, sizes, the example configuration. It has no code of its own.
package archtest
