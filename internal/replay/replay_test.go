package replay

import (
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

type sink struct{ got []string }

func (s *sink) Publish(_ context.Context, topic string, payload []byte) error {
	s.got = append(s.got, topic+" "+string(payload))
	return nil
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if filepath.Ext(name) != ".gz" {
		_, err = f.WriteString(text)
	} else {
		z := gzip.NewWriter(f)
		_, err = z.Write([]byte(text))
		err = errors.Join(err, z.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRowsBecomeMessagesAndBadOnesAreCounted(t *testing.T) {
	const text = "\ufefftime,id,lon,lat,v,w\n" +
		"2012-03-01 00:00:00,a,106.5,29.5,64.375,\n" +
		"2012-03-01T08:00:00Z,b,,,1,2\n" +
		"yesterday,a,106.5,29.5,1,2\n" +
		"2012-03-01 00:05:00,a,east,29.5,1,2\n" +
		"2012-03-01 00:05:00,a,106.5,29.5,NaN,007\n" +
		"2012-03-01 00:05:00\n"
	want := []string{
		`situ/v1/la/a/json {"t":1330560000000,"lon":106.5,"lat":29.5,"speed":64.375}`,
		`situ/v1/la/b/json {"t":1330588800000,"speed":1,"flow":2}`,
		`situ/v1/la/a/json {"t":1330560300000,"lon":106.5,"lat":29.5}`,
	}
	for _, name := range []string{"x.csv", "x.csv.gz"} {
		s := &sink{}
		r, err := Run(t.Context(), Config{
			File: write(t, name, text), Time: "time", ID: "id", Lon: "lon", Lat: "lat", Owner: "la",
			Values: map[string]string{"v": "speed"}, Zone: time.FixedZone("", 8*3600-8*3600),
		}, s, func(float64, *Result) {})
		if err != nil {
			t.Fatal(err)
		}
		s2 := &sink{}
		if _, err := Run(t.Context(), Config{
			File: write(t, name, text), Time: "time", ID: "id", Lon: "lon", Lat: "lat", Owner: "la",
			Values: map[string]string{"v": "speed", "w": "flow"},
		}, s2, func(float64, *Result) {}); err != nil {
			t.Fatal(err)
		}
		if s.got[0] != want[0] || s.got[2] != want[2] || len(s.got) != 3 {
			t.Errorf("got %q", s.got)
		}
		if s2.got[1] != want[1] && s2.got[1] != `situ/v1/la/b/json {"t":1330588800000,"flow":2,"speed":1}` {
			t.Errorf("got %q", s2.got[1])
		}
		if bad := map[string]int{"time": 1, "position": 1, "number": 1, "short": 1}; !reflect.DeepEqual(r.Bad, bad) || r.Rows != 6 || r.Sent != 3 {
			t.Errorf("got %+v", r)
		}
		if r.FirstBad == "" {
			t.Error("the first bad row is not told")
		}
	}
}

func TestPace(t *testing.T) {
	path := write(t, "x.csv", "time,id,v\n2012-03-01 00:00:00,a,1\n2012-03-01 00:00:10,a,2\n")
	started := time.Now()
	if _, err := Run(t.Context(), Config{File: path, Time: "time", ID: "id", Owner: "la", Speed: 100,
		Values: map[string]string{"v": "x"}}, &sink{}, func(float64, *Result) {}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(started); took < 100*time.Millisecond {
		t.Errorf("ten seconds at speed 100 took %s", took)
	}
}

func TestMissingColumnIsNamed(t *testing.T) {
	path := write(t, "x.csv", "time,id,v\n")
	_, err := Run(t.Context(), Config{File: path, Time: "when", ID: "id"}, &sink{}, nil)
	if !errors.Is(err, ErrColumn) {
		t.Errorf("got %v", err)
	}
}
