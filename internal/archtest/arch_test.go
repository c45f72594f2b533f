package archtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "glimpse/"

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	Deps       []string
	GoFiles    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,Deps,GoFiles", module+"...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// Each tree and what it must never depend on, directly or through others.
var forbidden = []struct{ tree, never, why string }{
	{"internal/control", "glimpse/internal/media", "the planes meet in server/"},
	{"internal/media", "glimpse/internal/control", "the planes meet in server/"},
	{"internal/control", "glimpse/internal/server", "server/ is the root"},
	{"internal/media", "glimpse/internal/server", "server/ is the root"},
	{"internal/control/camera", "net", "decisions are pure"},
	{"internal/media/frame", "glimpse/internal/media/hub", "frame is a leaf"},
	{"internal/lean", "glimpse/internal/media", "lean is HTTP alone"},
	{"sdk", "glimpse/internal", "the SDK is public"},
	{"protocol", "glimpse/internal", "the protocol is a public leaf"},
}

// The detector is an app like any other: of Glimpse it knows what every app may,
// and the rest of Glimpse does not know it.
var detector = []string{module + "cmd/glimpse-detect", module + "internal/detect", module + "tools/detect"}

func TestDetectorIsAnApp(t *testing.T) {
	for _, p := range packages(t) {
		ours := slices.ContainsFunc(detector, func(tree string) bool { return under(p.ImportPath, tree) })
		for _, d := range p.Deps {
			its := slices.ContainsFunc(detector, func(tree string) bool { return under(d, tree) })
			switch {
			case ours && strings.HasPrefix(d, module) && !its && !under(d, module+"sdk") && !under(d, module+"protocol"):
				t.Errorf("%s depends on %s: the detector imports sdk and protocol", p.ImportPath, d)
			case !ours && its:
				t.Errorf("%s depends on %s: only the detector runs models", p.ImportPath, d)
			}
		}
	}
}

func under(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }

func TestImportRules(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range forbidden {
			if !under(p.ImportPath, module+rule.tree) {
				continue
			}
			for _, d := range p.Deps {
				if under(d, rule.never) {
					t.Errorf("%s depends on %s: %s", p.ImportPath, d, rule.why)
				}
			}
		}
	}
}

// camera decides and never asks what time it is; cmd holds no logic.
func TestPurity(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if under(p.ImportPath, module+"internal/control/camera") && bytes.Contains(b, []byte("time.Now(")) {
				t.Errorf("%s/%s reads the clock", p.ImportPath, name)
			}
			if n := bytes.Count(b, []byte("\n")); under(p.ImportPath, module+"cmd") && n > 150 {
				t.Errorf("%s/%s has %d lines: commands hold no logic", p.ImportPath, name, n)
			}
		}
	}
}

// Each package has exactly one package comment.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		comments := 0
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				comments++
			}
		}
		if comments != 1 && len(p.GoFiles) > 0 {
			t.Errorf("%s has %d package comments, want 1", p.ImportPath, comments)
		}
	}
}

// Files, functions, structs and interfaces past these sizes get split.
func TestSizes(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			checkSizes(t, p.ImportPath+"/"+name, filepath.Join(p.Dir, name))
		}
	}
}

func checkSizes(t *testing.T, label, path string) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := fset.File(f.Pos()).LineCount(); n > 400 {
		t.Errorf("%s: %d lines, at most 400", label, n)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if lines := fset.Position(n.End()).Line - fset.Position(n.Pos()).Line; lines > 80 {
				t.Errorf("%s: %s has %d lines, at most 80", label, n.Name.Name, lines)
			}
		case *ast.TypeSpec:
			switch typ := n.Type.(type) {
			case *ast.StructType:
				if typ.Fields.NumFields() > 20 {
					t.Errorf("%s: %s has %d fields, at most 20", label, n.Name.Name, typ.Fields.NumFields())
				}
			case *ast.InterfaceType:
				if typ.Methods.NumFields() > 5 {
					t.Errorf("%s: %s has %d methods, at most 5", label, n.Name.Name, typ.Methods.NumFields())
				}
			}
		}
		return true
	})
}

// The server is one static binary on every system. The detector is built without
// a C compiler as well, and then says that it needs one.
//
// E6
func TestBuildsEverywhere(t *testing.T) {
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, program := range []string{"glimpse", "glimpse-detect"} {
			cmd := exec.Command("go", "build", "-o", os.DevNull, module+"cmd/"+program)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s on %s: %v\n%s", program, system, err, out)
			}
		}
	}
}

// E52
func TestLicence(t *testing.T) {
	b, err := os.ReadFile("../../LICENSE")
	if err != nil || !bytes.HasPrefix(b, []byte("MIT License")) {
		t.Errorf("LICENSE: %v, %.20q", err, b)
	}
}

// No dumping grounds, no work left for later, no mutable package state by name.
func TestNames(t *testing.T) {
	for _, p := range packages(t) {
		last := p.ImportPath[strings.LastIndex(p.ImportPath, "/")+1:]
		switch last {
		case "util", "utils", "common", "helper", "helpers", "types", "defs", "misc":
			t.Errorf("%s: a package is named for what it provides", p.ImportPath)
		}
		for _, name := range p.GoFiles {
			f, err := os.Open(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for s, line := bufio.NewScanner(f), 1; s.Scan(); line++ {
				for _, word := range []string{"TO" + "DO", "FIX" + "ME", "func init" + "()"} {
					if strings.Contains(s.Text(), word) {
						t.Errorf("%s/%s:%d: %s", p.ImportPath, name, line, word)
					}
				}
			}
			f.Close()
		}
	}
}

// Package variables are tables and errors: nothing assigns to them.
func TestPackageVariablesNeverChange(t *testing.T) {
	for _, p := range packages(t) {
		fset := token.NewFileSet()
		var files []*ast.File
		names := map[string]bool{}
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
			for _, d := range f.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
					for _, spec := range g.Specs {
						for _, id := range spec.(*ast.ValueSpec).Names {
							names[id.Name] = id.Name != "_"
						}
					}
				}
			}
		}
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				for _, target := range assigned(n) {
					if id := root(target); id != nil && names[id.Name] && packageLevel(id) {
						t.Errorf("%s: %s: package variable %s changes", p.ImportPath, fset.Position(n.Pos()), id.Name)
					}
				}
				return true
			})
		}
	}
}

// assigned returns what a statement writes to.
func assigned(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	}
	return nil
}

// root is the variable that an expression such as x[i].y begins with.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// packageLevel says whether an identifier is not a local one: its declaration
// is in another file, or is a package variable of this one.
func packageLevel(id *ast.Ident) bool {
	if id.Obj == nil {
		return true
	}
	_, isSpec := id.Obj.Decl.(*ast.ValueSpec)
	return isSpec && id.Obj.Kind == ast.Var && id.Obj.Data == nil
}
