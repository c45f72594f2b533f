package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The library for animals is fetched for each system that it is promised for, and is
// one of that system: Linux's and macOS's own marks of a file, and the processor's.
// On others the script says what to do.
func TestRuntimeLibrary(t *testing.T) {
	if !long {
		t.Skip("fetches 86 MB several times: make test-long")
	}
	parallel(t, others)
	script, err := os.ReadFile("../scripts/onnxruntime.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ system, machine, file, mark string }{
		{"Linux", "x86_64", "libonnxruntime.so.1", "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00"},
		{"Linux", "aarch64", "libonnxruntime.so.1", "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\xb7\x00"},
		{"Darwin", "arm64", "libonnxruntime.dylib", "\xcf\xfa\xed\xfe\x0c\x00\x00\x01"},
		{"FreeBSD", "amd64", "", "there is no library for FreeBSD on amd64"},
	} {
		root := t.TempDir()
		run := func() (string, error) {
			cmd := exec.Command(filepath.Join(root, "scripts", "onnxruntime.sh"))
			cmd.Env = append(os.Environ(), "PATH="+filepath.Join(root, "bin")+":"+os.Getenv("PATH"))
			said, err := cmd.CombinedOutput()
			return string(said), err
		}
		uname := "#!/bin/sh\ncase $1 in -m) echo " + c.machine + ";; *) echo " + c.system + ";; esac\n"
		for name, content := range map[string]string{"scripts/onnxruntime.sh": string(script), "bin/uname": uname} {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		said, err := run()
		if c.file == "" {
			if err == nil || !strings.Contains(said, c.mark) {
				t.Errorf("%s on %s: %v, %s", c.system, c.machine, err, said)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s on %s: %v\n%s", c.system, c.machine, err, said)
		}
		path := filepath.Join(root, ".cache/onnxruntime", c.file)
		library, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(library, []byte(c.mark)) {
			t.Errorf("%s on %s: the file begins with %x", c.system, c.machine, library[:24])
		}
		// A damaged one is not kept.
		if err := os.WriteFile(path, library[:len(library)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := run(); err != nil || !strings.Contains(said, "is damaged") {
			t.Errorf("%s on %s, damaged: %v, %s", c.system, c.machine, err, said)
		}
		if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, library) {
			t.Errorf("%s on %s: the damaged library is kept (%v)", c.system, c.machine, err)
		}
	}
}
