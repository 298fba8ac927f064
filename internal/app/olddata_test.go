package app

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
)

// testdata/data-1.tar.gz is the data directory of the first situ that had one (commit e7ce168: before roll-ups, balance
// and replays), killed with kill -9. 300 messages had been stored, 100 more acknowledged while its store stood still:
// `situ/v1/old/t{n%20}/json {"t":...,"water_level":n,"temperature":20.5,...}` for n from 1 to 400; and one of
// `situ/v1/old/t1/json` that cannot be read.
const oldData = "testdata/data-1.tar.gz"

// An older situ's data directory goes on: what it had stored, what it had only acknowledged, whom it had registered.
func TestOldData(t *testing.T) {
	data := apptest.Dir(t)
	unpack(t, oldData, data)
	for life := range 2 { // the second begins with what the first has made of it
		r := run(t, data, open)
		r.Publish(t, fmt.Sprintf("situ/v1/old/t%d/json", life), fmt.Sprintf(`{"water_level":%d}`, 401+life))
		apptest.Until(t, time.Minute, func() string {
			s := r.SQL(t, `SELECT toInt64(count()) AS rows, toInt64(uniqExact(result)) AS results, toInt64(uniqExact(thing)) AS things, toInt64(max(result)) AS last,
				toInt64(countIf(isNaN(lon))) AS nowhere FROM history WHERE owner = 'old' AND source_key = 'water_level'`)[0]
			n := int64(401 + life)
			if s.Int(t, "rows") != n || s.Int(t, "results") != n || s.Int(t, "last") != n || s.Int(t, "things") != 20 || s.Int(t, "nowhere") != 0 {
				return fmt.Sprintf("history has %v", s)
			}
			b := r.SQL(t, "SELECT toInt64(sum(unjudged)) AS open, toInt64(sum(missing) + sum(rows_missing) + sum(rows_doubled) + sum(letters_missing)) AS wrong FROM balance")[0]
			if b.Int(t, "open") != 301 || b.Int(t, "wrong") != 0 { // nobody had counted those 301 when they were taken
				return fmt.Sprintf("the balance is %v", b)
			}
			h := r.SQL(t, "SELECT toInt64(sum(n)) AS n FROM datastream_1h WHERE owner = 'old'")[0]
			if h.Int(t, "n") == 0 {
				return "no roll-up of what it had stored"
			}
			return ""
		})
		var letters struct {
			DeadLetters []map[string]any `json:"dead_letters"`
		}
		r.Get(t, "/v1/deadletters?owner=old", &letters)
		if len(letters.DeadLetters) != 1 {
			t.Errorf("dead letters %v", letters)
		}
		if a := r.Do(t, "", http.MethodGet, "/v1/things/old/t7", ""); a.Status != http.StatusOK {
			t.Errorf("the registry: %d %s", a.Status, a.Body)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	}
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o750)
		case tar.TypeReg:
			err = write(path, r)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func write(path string, from io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
