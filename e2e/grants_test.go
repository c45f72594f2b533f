package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// who asks: the operator, two apps that may use cameras, one that may not, somebody
// with a wrong key, and anybody without a token. Whether one has a stream's address
// is said by the path.
var callers = [...]struct{ name, token string }{
	{"the operator", ""}, // filled in
	{"an app", "com.example.first:first-api-key-0123"},
	{"another app", "com.example.second:second-api-key-0123"},
	{"an app without CAMERA", "com.example.blind:blind-api-key-0123"},
	{"an impostor", "com.example.first:wrong-api-key-0123"},
	{"anybody", "-"},
}

// grant is what a request is answered for each of the callers, in that order.
type grant struct {
	what, request, body string
	want                [len(callers)]int
}

// The answers that most requests have.
func operatorOnly(ok int) [len(callers)]int { return [...]int{ok, 401, 401, 401, 401, 401} }
func cameraApps(ok int) [len(callers)]int   { return [...]int{ok, ok, ok, 403, 401, 401} }
func whoever(answer int) [len(callers)]int {
	return [...]int{answer, answer, answer, answer, answer, answer}
}

// wantGrants asks everything of everybody, those who may least first. Each call
// comes from an address of its own: wrong tokens slow down nobody else.
func (c *cloud) wantGrants(t *testing.T, asked *int, grants []grant) {
	t.Helper()
	for _, g := range grants {
		for i := len(callers) - 1; i >= 0; i-- {
			who := callers[i]
			method, path, _ := strings.Cut(g.request, " ")
			req, err := http.NewRequest(method, c.url+path, strings.NewReader(g.body))
			if err != nil {
				t.Fatal(err)
			}
			*asked++
			req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", *asked/250, *asked%250+1))
			switch who.token {
			case "":
				req.Header.Set("Authorization", "Bearer "+c.token)
			case "-":
			default:
				req.Header.Set("Authorization", "Bearer "+who.token)
			}
			res, err := http.DefaultTransport.RoundTrip(req) // redirects are answers
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
			res.Body.Close()
			if res.StatusCode != g.want[i] {
				t.Errorf("%s: %s %s is answered %d, want %d: %s", g.what, who.name, g.request, res.StatusCode, g.want[i], body)
			}
		}
	}
}

// Who may play, list, download, delete, clip, get a thumbnail, read viewers and
// reports: everything about a stream and its recordings, of everybody, while it is
// live, when it is over and when it is deleted. What is not the operator's goes by
// the address (of a stream, or of a recording), and for apps by CAMERA too.
func TestGrants(t *testing.T) {
	parallel(t, others)
	var apps string
	asked := 0
	for _, a := range callers[1:4] {
		pkg, key, _ := strings.Cut(a.token, ":")
		permission := "CAMERA"
		if strings.Contains(a.name, "without") {
			permission = "MICROPHONE"
		}
		apps += fmt.Sprintf("  - {package: %s, api_key: %s, url: \"http://127.0.0.1:9\", permissions: [%s]}\n", pkg, key, permission)
	}
	c := startCloud(t, "apps:\n"+apps, "GLIMPSE_HTTP_TRUSTED_PROXIES=127.0.0.1/32")
	var s stream
	c.api("POST", "/api/v1/streams", map[string]any{"resume_window": 0}, &s)
	other := c.newStream()
	publisher := publish(t, s.Ingest["rtmp"], "-g", "30")
	publish(t, other.Ingest["rtmp"])
	c.wantStatus(s.ID, "live")
	c.wantStatus(other.ID, "live")
	c.record("POST", s.ID)
	var clip recording
	time.Sleep(3 * time.Second)
	if code := c.api("POST", "/api/v1/streams/"+s.ID+"/clips", map[string]any{"last": 2}, &clip); code != http.StatusCreated {
		t.Fatal(code)
	}
	done := c.record("DELETE", s.ID)

	path := func(url string) string { return strings.TrimPrefix(url, c.url) }
	live, api := strings.TrimSuffix(path(s.Play["hls"]), "index.m3u8"), "/api/v1/streams/"+s.ID
	strange := strings.TrimSuffix(path(other.Play["hls"]), "index.m3u8")
	key := s.Ingest["whip"][strings.LastIndex(s.Ingest["whip"], "/")+1:]
	_, _, list := get(t, c.url+live+"video.m3u8")
	file := ""
	for line := range strings.Lines(string(list)) {
		if !strings.HasPrefix(line, "#") && strings.HasSuffix(strings.TrimSpace(line), ".m4s") {
			file = strings.TrimSpace(line)
		}
	}
	if file == "" {
		t.Fatalf("no file in %s", list)
	}
	rec := "/api/v1/recordings/" + done.ID

	c.wantGrants(t, &asked, []grant{
		{"play live", "GET " + live + "index.m3u8", "", whoever(200)},
		{"play live", "GET " + live + file, "", whoever(200)},
		{"play live by DASH", "GET " + live + "index.mpd", "", whoever(307)},
		{"the page", "GET " + live, "", whoever(200)},
		{"status", "GET " + live + "status.json", "", whoever(200)},
		{"thumbnail", "GET " + live + "thumbnail.jpg", "", whoever(200)},
		{"a file by another stream's address", "GET " + strange + file, "", whoever(404)},
		{"play by the id", "GET /live/" + s.ID + "/index.m3u8", "", whoever(404)},
		{"thumbnail by the id", "GET /live/" + s.ID + "/thumbnail.jpg", "", whoever(404)},
		{"play by the publisher's key", "GET /live/" + key + "/index.m3u8", "", whoever(404)},
		{"thumbnail by the publisher's key", "GET /live/" + key + "/thumbnail.jpg", "", whoever(404)},
		{"a decoded picture", "GET " + live + "frame.jpg?width=160", "", cameraApps(200)},
		{"a decoded picture by the id", "GET /live/" + s.ID + "/frame.jpg", "", [...]int{404, 404, 404, 403, 401, 401}},

		{"the stream, with its keys", "GET " + api, "", operatorOnly(200)},
		{"all streams", "GET /api/v1/streams", "", operatorOnly(200)},
		{"viewers", "GET " + api + "/viewers", "", operatorOnly(200)},
		{"reports", "GET /api/v1/reports?stream=" + s.ID, "", operatorOnly(200)},
		{"outputs: an app sees its own", "GET " + api + "/outputs", "", [...]int{200, 200, 200, 200, 401, 401}},

		{"list recordings", "GET /api/v1/recordings", "", operatorOnly(200)},
		{"list clips", "GET " + api + "/clips", "", operatorOnly(200)},
		{"one recording", "GET " + rec, "", operatorOnly(200)},
		{"download", "GET " + rec + "/file", "", operatorOnly(200)},
		{"clip a recording", "POST " + rec + "/clips", `{"from":0,"to":1}`, operatorOnly(201)},
		{"clip a stream", "POST " + api + "/clips", `{"last":1}`, operatorOnly(201)},
		{"record a stream", "POST " + api + "/recording", "", operatorOnly(201)},
		{"stop recording it", "DELETE " + api + "/recording", "", operatorOnly(200)},
		{"play a recording by its address", "GET " + path(done.HLS), "", whoever(200)},
		{"its file", "GET " + path(done.File), "", whoever(200)},
		{"its page", "GET " + path(done.Page), "", whoever(200)},
		{"a clip by its address", "GET " + path(clip.File), "", whoever(200)},
		{"a recording by its id", "GET /recordings/" + done.ID + "/video.mp4", "", whoever(404)},
		{"a recording by the stream's address", "GET /recordings" + strings.TrimPrefix(live, "/live") + "video.mp4", "", whoever(404)},
		{"delete by its address", "DELETE " + path(done.File), "", whoever(405)},

		{"clip by the stream's address", "POST " + live + "clips", `{"last":1}`, cameraApps(201)},
		{"record by it", "POST " + live + "recording", "", cameraApps(201)},
		{"stop recording by it", "DELETE " + live + "recording", "", [...]int{409, 409, 200, 403, 401, 401}},
		{"clip by an address that nobody has", "POST /live/" + s.ID + "/clips", `{"last":1}`, [...]int{404, 404, 404, 403, 401, 401}},
		{"record by it", "POST /live/" + key + "/recording", "", [...]int{404, 404, 404, 403, 401, 401}},
		{"delete a clip", "DELETE /api/v1/recordings/" + clip.ID, "", operatorOnly(204)},
	})

	publisher.stop()
	c.wantStatus(s.ID, "idle")
	eventually(t, "there are a report and a poster", func() bool {
		code, _, _ := get(t, s.Play["thumbnail"])
		return len(c.reports(s.ID)) == 1 && c.reports(s.ID)[0].End == "over" && code == http.StatusOK
	})
	report := c.reports(s.ID)[0].ID
	c.wantGrants(t, &asked, []grant{
		{"play what is over", "GET " + live + "index.m3u8", "", whoever(503)},
		{"its files", "GET " + live + file, "", whoever(503)},
		{"its poster", "GET " + live + "thumbnail.jpg", "", whoever(200)},
		{"its poster by the id", "GET /live/" + s.ID + "/thumbnail.jpg", "", whoever(404)},
		{"clip it", "POST " + live + "clips", `{"last":1}`, [...]int{409, 409, 409, 403, 401, 401}},
		{"its report", "GET /api/v1/reports/" + report, "", operatorOnly(200)},
		{"its recording", "GET " + path(done.File), "", whoever(200)},
		{"who watched", "GET " + api + "/viewers", "", operatorOnly(200)},
	})

	c.api("DELETE", "/api/v1/streams/"+s.ID, nil, nil)
	c.wantGrants(t, &asked, []grant{
		{"play what is deleted", "GET " + live + "index.m3u8", "", whoever(404)},
		{"its poster", "GET " + live + "thumbnail.jpg", "", whoever(404)},
		{"clip it", "POST " + live + "clips", `{"last":1}`, [...]int{404, 404, 404, 403, 401, 401}},
		{"its report", "GET /api/v1/reports/" + report, "", operatorOnly(200)},
		{"its recording", "GET " + path(done.File), "", whoever(200)},
		{"delete its recording", "DELETE " + rec, "", operatorOnly(204)},
		{"its recording, deleted", "GET " + path(done.File), "", whoever(404)},
	})
}
