package record

import (
	"slices"
	"time"
)

// expired returns the ids of what is no longer to be kept, the oldest first:
// whatever ended longer ago than MaxAge, and then the oldest until the rest fits
// MaxBytes. What is in progress stays, and counts.
func (r Retention) expired(list []Info, now time.Time) []string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Info) int { return a.End().Compare(b.End()) })
	total := int64(0)
	for i := range list {
		total += list[i].Bytes
	}
	var ids []string
	for i := range list {
		in := &list[i]
		if in.State.open() {
			continue
		}
		old := r.MaxAge > 0 && now.Sub(in.End()) > r.MaxAge
		if !old && (r.MaxBytes <= 0 || total <= r.MaxBytes) {
			continue
		}
		ids = append(ids, in.ID)
		total -= in.Bytes
	}
	return ids
}

// tooLittle reports whether less than a part of the file system is free.
func tooLittle(free, total uint64, part float64) bool {
	return float64(free) < float64(total)*part
}
