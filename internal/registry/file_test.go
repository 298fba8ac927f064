package registry

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/situ-city/situ/pkg/sensor"
)

// dump is all a snapshot holds, in one text.
func dump(t testing.TB, s *Snapshot) string {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for x := range s.ThingsFrom(0) {
		if err := errors.Join(enc.Encode(x), enc.Encode(s.DatastreamsOf(x.ID))); err != nil {
			t.Fatal(err)
		}
		if got, ok := s.Serial(x.ID.Owner(), x.Serial); bearsSerial(x) != ok || ok && got != x.ID {
			t.Errorf("serial %q of %s finds %q %v", x.Serial, x.ID, got, ok)
		}
	}
	n := 0
	for d := range s.DatastreamsFrom(0) {
		n++
		if err := enc.Encode(d); err != nil {
			t.Fatal(err)
		}
	}
	if n != s.Datastreams() {
		t.Errorf("%d Datastreams, said to be %d", n, s.Datastreams())
	}
	return out.String()
}

func someLedger(t testing.TB) *Registry { t.Helper(); return fresh(newFile).someLedger(t) }

func (db fresh) someLedger(t testing.TB) *Registry {
	t.Helper()
	r := db.openNew(t)
	if _, err := r.Declare(t.Context(), declarations(200)); err != nil {
		t.Fatal(err)
	}
	a := thing("city/serial")
	a.Serial, a.Scenes = "MN1", []string{"air"}
	low := -3.5
	if _, err := r.PutThing(t.Context(), a, &sensor.Datastream{Property: "pm10", Min: &low}); err != nil {
		t.Fatal(err)
	}
	return r
}

func testSnapshotFile(t *testing.T, db fresh) {
	s := db.someLedger(t).Snapshot()
	path := filepath.Join(t.TempDir(), "registry.snapshot")
	for range 2 { // the second time over the first
		if err := WriteSnapshot(path, s); err != nil {
			t.Fatal(err)
		}
	}
	back, err := LoadSnapshot(path)
	if err != nil {
		t.Fatal(err)
	}
	if back.id != s.id || back.Version() != s.Version() || dump(t, back) != dump(t, s) {
		t.Error("what came back is not what was written")
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := LoadSnapshot(path + "x"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrSnapshotFile) {
		t.Errorf("no file: %v", err)
	}
}

// A file that was cut or changed anywhere is refused, never half believed.
func TestSnapshotFileDamaged(t *testing.T) {
	r := openNew(t)
	if _, err := r.PutThing(t.Context(), thing("city/a"), &sensor.Datastream{Property: "pm10"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s")
	if err := WriteSnapshot(path, r.Snapshot()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := dump(t, r.Snapshot())
	try := func(name string, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		// gzip's own header has bits that mean nothing (time, operating system); then the content is whole.
		if s, err := LoadSnapshot(path); err == nil && dump(t, s) != want || err != nil && !errors.Is(err, ErrSnapshotFile) {
			t.Errorf("%s: %v", name, err)
		} else if err == nil && name == "cut" {
			t.Errorf("cut to %d of %d bytes: taken", len(b), len(whole))
		}
	}
	for n := range len(whole) {
		try("cut", whole[:n])
		b := bytes.Clone(whole)
		b[n] ^= 0x10
		try("changed", b)
	}
	try("longer", append(bytes.Clone(whole), whole...))
	if s, err := LoadSnapshot(path); err == nil {
		t.Errorf("twice in one file: taken with %d Things", s.Things())
	}
}

// Files that gzip finds whole, but whose lines are not what was written.
func TestSnapshotFileTampered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := WriteSnapshot(path, someLedger(t).Snapshot()); err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(plain, []byte("\n"))
	for name, text := range map[string][]byte{
		"a letter":       bytes.Replace(plain, []byte("渝中站"), []byte("渝北站"), 1),
		"a line less":    bytes.Join(append(append([][]byte{}, lines[:5]...), lines[6:]...), nil),
		"another format": bytes.Replace(plain, []byte(`"situ_registry":1`), []byte(`"situ_registry":2`), 1),
		"a line more":    append(bytes.Clone(plain), "{}\n"...),
		"no last line":   bytes.Join(lines[:len(lines)-2], nil),
		"a long line":    append(bytes.Repeat([]byte(" "), maxLine+1), plain...),
		"nothing":        nil,
	} {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Close(), os.WriteFile(path, out.Bytes(), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadSnapshot(path); !errors.Is(err, ErrSnapshotFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSnapshotFileCannotBeWritten(t *testing.T) {
	s := someLedger(t).Snapshot()
	dir := t.TempDir()
	if err := WriteSnapshot(filepath.Join(dir, "no", "such"), s); err == nil {
		t.Error("written into no directory")
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteSnapshot(filepath.Join(dir, "taken"), s); err == nil {
		t.Error("written over a directory")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
