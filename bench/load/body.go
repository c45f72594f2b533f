package load

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"sync"
)

// readAll appends a response's body to dst.
func readAll(dst []byte, res *http.Response) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, make([]byte, max(4<<10, cap(dst)))...)[:len(dst)]
		}
		n, err := res.Body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// gunzips are reused: most of the price is making one.
var gunzips = sync.Pool{New: func() any { return new(gzip.Reader) }}

func gunzip(b []byte) ([]byte, error) {
	zr := gunzips.Get().(*gzip.Reader)
	defer gunzips.Put(zr)
	if err := zr.Reset(bytes.NewReader(b)); err != nil {
		return nil, err
	}
	return io.ReadAll(zr)
}
