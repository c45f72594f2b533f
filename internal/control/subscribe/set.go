package subscribe

import "slices"

// Set is what an app subscribes to, in its own order.
type Set []Entry

// For returns the entries that an event goes out under. A MiniAppServer hands a
// frame to all handlers whose string begins that of the frame, so a second frame
// would reach some of them twice: it gets one, under the string that begins with
// the most of the others.
func (s Set) For(stream, detail string, mini bool) Set {
	var all Set
	best := -1
	for _, entry := range s {
		if !entry.matches(stream, detail) {
			continue
		}
		all = append(all, entry)
		if best < 0 || entry.reach() > all[best].reach() {
			best = len(all) - 1
		}
	}
	if mini && best >= 0 {
		return all[best : best+1]
	}
	return all
}

// Has says whether the set has an entry of one of the streams.
func (s Set) Has(streams ...string) bool {
	return slices.ContainsFunc(s, func(e Entry) bool { return slices.Contains(streams, e.Stream) })
}

// MostExact is the most exact tier of places that any entry of the sets asks for,
// TierLeast when none does.
func MostExact(sets ...Set) string {
	tiers := locationTiers()
	best := 0
	for _, set := range sets {
		for _, entry := range set {
			best = max(best, slices.Index(tiers, entry.tier))
		}
	}
	return tiers[best]
}
