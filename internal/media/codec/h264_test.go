package codec

import (
	"bytes"
	"testing"
)

// Lengths of one and two bytes become four; what is cut short stays invalid.
func TestWidenLengths(t *testing.T) {
	want := []byte{0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x41}
	for size, in := range map[int][]byte{1: {2, 0x65, 1, 1, 0x41}, 2: {0, 2, 0x65, 1, 0, 1, 0x41}, 4: want} {
		if got := WidenLengths(in, size); !ValidAVCC(got) || !bytes.Equal(got, want) {
			t.Errorf("lengths of %d bytes: % x", size, got)
		}
		for cut := 1; cut < size+2; cut++ {
			if got := WidenLengths(in[:len(in)-cut], size); ValidAVCC(got) && cut != size+1 {
				t.Errorf("lengths of %d bytes, the last %d bytes cut off: % x passes", size, cut, got)
			}
		}
	}
}
