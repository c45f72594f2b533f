package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Where each way in and out is; what they share is in none of them.
var protocols = []string{"rtmp", "srt", "webrtc", "hls", "dash"}

// protocolPackages are those of the protocols, with what lies below them.
func protocolPackages(t *testing.T) (list []pkg) {
	t.Helper()
	for _, p := range packages(t) {
		for _, name := range protocols {
			if under(p.ImportPath, module+"internal/media/"+name) {
				list = append(list, p)
			}
		}
	}
	return list
}

// line is one of the program's: its tokens, and where it stands.
type line struct{ text, at string }

// program returns the lines of a file that say something: no comments, no imports,
// none of braces alone.
func program(t *testing.T, label, path string) (lines []line) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, source, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	body := file.Name.End()
	for _, d := range file.Decls {
		body = d.End()
	}
	after := fset.Position(body).Line

	at := fset.AddFile(path, -1, len(source))
	var s scanner.Scanner
	s.Init(at, source, nil, 0) // comments are left out
	text, says, number := "", false, 0
	flush := func() {
		if says && number > after {
			lines = append(lines, line{text, fmt.Sprintf("%s:%d", label, number)})
		}
		text, says = "", false
	}
	for {
		pos, tok, literal := s.Scan()
		if n := at.Line(pos); n != number {
			flush()
			number = n
		}
		switch {
		case tok == token.EOF:
			flush()
			return lines
		case tok == token.SEMICOLON && literal == "\n":
		case tok.IsLiteral() || tok.IsKeyword():
			says = true
			text += literal + " "
		default:
			text += tok.String() + " "
		}
	}
}

// runs returns where n lines of a stand in b as well, each place in a once.
func runs(a, b []line, n int) (found []string) {
	key := func(lines []line) string {
		var k strings.Builder
		for _, l := range lines {
			k.WriteString(l.text)
			k.WriteByte('\n')
		}
		return k.String()
	}
	places := map[string]string{}
	for i := range len(b) - n + 1 {
		places[key(b[i:i+n])] = b[i].at
	}
	for i := 0; i+n <= len(a); i++ {
		if at, same := places[key(a[i:i+n])]; same {
			found = append(found, a[i].at+" and "+at)
			i += n - 1
		}
	}
	return found
}

// What is the same in two protocols is written once, beside both.
func TestProtocolsShareWhatIsTheSame(t *testing.T) {
	const most = 5 // shared lines in a row
	list := protocolPackages(t)
	if len(list) < len(protocols) {
		t.Fatalf("%d packages: %v", len(list), list)
	}
	files := map[string][][]line{}
	for _, p := range list {
		for _, name := range p.GoFiles {
			label := strings.TrimPrefix(p.ImportPath, module+"internal/media/") + "/" + name
			files[p.ImportPath] = append(files[p.ImportPath], program(t, label, filepath.Join(p.Dir, name)))
		}
	}
	for i, p := range list {
		for _, q := range list[i+1:] {
			for _, a := range files[p.ImportPath] {
				for _, b := range files[q.ImportPath] {
					for _, places := range runs(a, b, most+1) {
						t.Errorf("%s: the same %d lines", places, most+1)
					}
				}
			}
		}
	}
}

// The test above sees what it is there to see: names and figures count, comments,
// layout and imports do not.
func TestRuns(t *testing.T) {
	read := func(body string) []line {
		path := filepath.Join(t.TempDir(), "x.go")
		if err := os.WriteFile(path, []byte("package x\n\nimport (\n\t\"a\"\n\t\"b\"\n)\n\n"+body), 0o600); err != nil {
			t.Fatal(err)
		}
		return program(t, "x.go", path)
	}
	a := read("// A says.\nfunc A() int {\n\tx := 1\n\n\t{\n\t\tx++\n\t}\n\treturn x // at last\n}\n")
	for _, tt := range []struct {
		body string
		same int
	}{
		{"func A() int {\n\tx   := 1 // one\n\tx++\n\treturn x\n}\n", 1},
		{"var before int\n\nfunc A() int {\n\tx := 1\n\tx++\n\treturn x\n}\n", 1},
		{"func A() int {\n\tx := 2\n\tx++\n\treturn x\n}\n", 0},
		{"func A() int {\n\tx := 1\n\ty()\n\tx++\n\treturn x\n}\n", 0},
	} {
		if found := runs(a, read(tt.body), 4); len(found) != tt.same {
			t.Errorf("%d runs, want %d: %v in\n%s", len(found), tt.same, found, tt.body)
		}
	}
}

// Protocols that take and give connections have the same files, and so have those
// that answer requests: who knows one knows where to look in the others.
func TestProtocolsHaveTheSameFiles(t *testing.T) {
	want := map[string][]string{
		"rtmp":   {"server.go", "conn.go", "ingest.go", "play.go", "push.go", "demuxer.go", "media_writer.go"},
		"srt":    {"server.go", "conn.go", "ingest.go", "play.go", "push.go", "demuxer.go", "media_writer.go"},
		"webrtc": {"server.go", "session.go", "ingest.go", "viewer.go", "sender.go", "whip.go", "whep.go"},
		"hls":    {"handler.go", "playlist.go"},
		"dash":   {"handler.go", "mpd.go"},
	}
	for _, p := range protocolPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"internal/media/")
		for _, file := range append(want[name], "doc.go") {
			if !slices.Contains(p.GoFiles, file) {
				t.Errorf("%s has no %s", name, file)
			}
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("there is no package %s", name)
	}
}

// Who needs to know what a codec is asks it: nobody but package codec tells them
// apart by their types or names.
func TestNoCodecSwitchOutsideCodec(t *testing.T) {
	checked := 0
	for _, p := range packages(t) {
		if !under(p.ImportPath, module+"internal/media") && !under(p.ImportPath, module+"internal/server") || under(p.ImportPath, module+"internal/media/codec") {
			continue
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			checked++
			for _, at := range codecSwitches(file) {
				t.Errorf("%s: a switch on codecs", fset.Position(at))
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d files were looked at", checked)
	}
}

// codecSwitches are the cases of a file that are a codec's type or name.
func codecSwitches(file *ast.File) (found []token.Pos) {
	names := []string{`"H.264"`, `"H.265"`, `"AV1"`, `"AAC"`, `"Opus"`}
	ast.Inspect(file, func(n ast.Node) bool {
		c, ok := n.(*ast.CaseClause)
		if !ok {
			return true
		}
		for _, e := range c.List {
			switch e := e.(type) {
			case *ast.StarExpr: // a type of package codec
				if of, ok := e.X.(*ast.SelectorExpr); ok {
					if pkg, ok := of.X.(*ast.Ident); ok && pkg.Name == "codec" {
						found = append(found, e.Pos())
					}
				}
			case *ast.BasicLit:
				if slices.Contains(names, e.Value) {
					found = append(found, e.Pos())
				}
			}
		}
		return true
	})
	return found
}

func TestCodecSwitches(t *testing.T) {
	for source, want := range map[string]int{
		"switch c.(type) { case *codec.H264: }":               1,
		"switch c.(type) { case nil, *codec.AAC, *other.B: }": 1,
		`switch c.Name() { case "AAC", "Opus": }`:             2,
		"switch c.(type) { case codec.Video: }":               0, // pictures or sound
		`switch kind { case "video": }`:                       0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { "+source+" }", 0)
		if err != nil {
			t.Fatal(err)
		}
		if found := codecSwitches(file); len(found) != want {
			t.Errorf("%s: %d, want %d", source, len(found), want)
		}
	}
}
