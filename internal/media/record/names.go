package record

import (
	"crypto/rand"
	"regexp"
	"strings"
	"time"
)

// Ids begin with the time, for people who look into the folder; what makes them
// unique is random, whatever clocks do.
const idTime = "20060102-150405"

var idPattern = regexp.MustCompile(`^\d{8}-\d{6}-[a-z0-9]{12}$`)

func newID(now time.Time) string {
	return now.UTC().Format(idTime) + "-" + strings.ToLower(rand.Text()[:12])
}

func validID(id string) bool { return idPattern.MatchString(id) }

// timeOf is the time in an id.
func timeOf(id string) time.Time {
	t, err := time.Parse(idTime, id[:min(len(idTime), len(id))])
	if err != nil {
		return time.Time{}
	}
	return t
}

// newKey is 130 random bits.
func newKey() string { return strings.ToLower(rand.Text()) }
