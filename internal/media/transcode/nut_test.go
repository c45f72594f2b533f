package transcode

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"time"
)

// nutFile encodes a second of sound as a child does.
func nutFile(t *testing.T) []byte {
	t.Helper()
	return ffmpeg(t, nil, "-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "1", "-c:a", "libopus", "-b:a", "64k", "-f", "nut", "pipe:1")
}

// readNUT reads all frames.
func readNUT(r io.Reader) (pts []time.Duration, size int, err error) {
	n, err := newNUTReader(r, nutMaxPacket)
	if err != nil {
		return nil, 0, err
	}
	for {
		at, data, err := n.next()
		if err != nil {
			return pts, size, err
		}
		pts = append(pts, at)
		size += len(data)
	}
}

func TestNUT(t *testing.T) {
	file := nutFile(t)
	pts, size, err := readNUT(bytes.NewReader(file))
	if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if len(pts) < 50 || len(pts) > 52 || size < len(file)*9/10 {
		t.Errorf("%d frames, %d bytes of %d", len(pts), size, len(file))
	}
	for i, at := range pts {
		if at != time.Duration(i)*packet20ms {
			t.Errorf("frame %d at %v", i, at)
		}
	}
	// Cut anywhere, it ends or says so; it never makes up a frame.
	for _, n := range []int{0, 10, 30, 100, 200, 400, len(file) / 2} {
		short, _, err := readNUT(bytes.NewReader(file[:n]))
		if err == nil || len(short) > len(pts)/2+2 {
			t.Errorf("cut at %d: %d frames, %v", n, len(short), err)
		}
	}
}

func TestNUTRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"nothing":           "",
		"another format":    "4f676753000200000000000000000000000000000000000000000000",
		"frame first":       hex.EncodeToString([]byte(nutFileID)) + "01",
		"huge packet":       hex.EncodeToString([]byte(nutFileID)) + "4e4d7a561f5f04adffffffff7f",
		"stream, no main":   hex.EncodeToString([]byte(nutFileID)) + "4e5311405bf2f9db08" + "0001000000000000",
		"endless number":    hex.EncodeToString([]byte(nutFileID)) + "4e4d7a561f5f04adffffffffffffffffffff",
		"sync before heads": hex.EncodeToString([]byte(nutFileID)) + "4e4be4adeeca456906" + "000000000000",
	} {
		b, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		if pts, _, err := readNUT(bytes.NewReader(b)); err == nil || len(pts) > 0 {
			t.Errorf("%s: %v, %v", name, pts, err)
		}
	}
}

// FuzzNUT: a child that went mad neither crashes us nor makes us allocate
// beyond the bounds.
func FuzzNUT(f *testing.F) {
	head, err := hex.DecodeString(nutSeed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(head)
	f.Add([]byte(nutFileID))
	f.Fuzz(func(t *testing.T, b []byte) {
		pts, size, err := readNUT(bytes.NewReader(b))
		if err == nil {
			t.Fatal("no end")
		}
		if size > len(b)+len(pts)*nutMaxPacket {
			t.Fatalf("%d bytes out of %d", size, len(b))
		}
		for _, at := range pts {
			if at < 0 {
				t.Fatalf("time %v", at)
			}
		}
	})
}

func TestSeedIsValid(t *testing.T) {
	b, err := hex.DecodeString(nutSeed)
	if err != nil {
		t.Fatal(err)
	}
	if pts, _, err := readNUT(bytes.NewReader(b)); len(pts) != 3 || !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v", pts, err)
	}
}

// nutSeed is a file of three short packets that ffmpeg 5.1 wrote.
const nutSeed = "6e75742f6d756c74696d6564696120636f6e7461696e6572004e4d7a561f5f04ad4c030181ff7f010182f700c00006000000000001a0000201012801002900010200020101012102018176c00006000000000001060300000104000001b602fffa02fffb02fffc02fffd7a1cff034e5311405bf2f9db2b0001044f707573000e82f7000000134f707573486561640101380180bb000000000082f70001012ff7a2124e49ab68b596ba7820000000000107656e636f646572020d4c61766635392e32372e3130300d1f10d64e49ab68b596ba7828010000000107656e636f64657202154c61766335392e33372e313030206c69626f7075735a36b24c4e4be4adeeca456906000000000000030007080be63b23ab60038740060808acb30ec6038f00060808acb30ec64e58dd672f23e64e118f00010f03000000000000001a79c74bbe"
