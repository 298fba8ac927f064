package tile_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/internal/tile"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

var middle = geo.LonLat{Lon: 106.55, Lat: 29.56}

// town is a live state with Things in it, and the tiles of it.
type town struct {
	*livestate.State
	meta  map[sensor.DatastreamID]livestate.Info
	now   time.Time
	batch sensor.Batch
	seq   uint64
	*tile.Handler
}

func (tn *town) Meta(d sensor.DatastreamID) (livestate.Info, bool) { i, ok := tn.meta[d]; return i, ok }

func newTown(tb testing.TB, c tile.Config) *town {
	tb.Helper()
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		tb.Fatal(err)
	}
	tn := &town{meta: map[sensor.DatastreamID]livestate.Info{}, now: time.UnixMilli(1_790_000_000_000)}
	tn.State = livestate.New(tn, catalogue, tn.now)
	c.Source, c.Catalogue = tn.State, catalogue
	if c.Scope == nil {
		c.Scope = func(*http.Request) sensor.Scope { return sensor.ScopeOpen }
	}
	tn.Handler = tile.NewHandler(c)
	return tn
}

// report has a Thing of a grade say pm2_5 at a place.
func (tn *town) report(name string, grade sensor.AccessGrade, p geo.LonLat, v float64) {
	tn.batch.Reset()
	tn.add(name, grade, p, v)
	tn.Apply(&tn.batch, tn.now)
}

func (tn *town) add(name string, grade sensor.AccessGrade, p geo.LonLat, v float64) {
	id := sensor.ThingID("bureau/" + name)
	ds := sensor.NewDatastreamID(id, "pm2_5", sensor.Instant, "pm2_5")
	tn.meta[ds] = livestate.Info{Thing: id, Property: 1, Class: sensor.Government, Grade: grade}
	tn.seq++
	lon, lat := p.E7()
	ms := tn.now.UnixMilli()
	b := &tn.batch
	b.AppendRow(b.ProducerIndex(sensor.Producer{Gateway: "g", Epoch: 1}), tn.seq, 0, ms, &sensor.Observation{
		Datastream: ds, Thing: id.Key(), Property: 1, PhenomenonTime: ms, ResultTime: ms, Result: v, Lon: lon, Lat: lat})
}

func (tn *town) get(url string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, url, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	tn.Handler.ServeHTTP(w, r)
	return w
}

func urlAt(p geo.LonLat, z uint8) string { return "/tiles/pm2_5/" + geo.TileAt(p, z).String() + ".mvt" }

func features(t *testing.T, w *httptest.ResponseRecorder, layer string) []map[string]any {
	t.Helper()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/vnd.mapbox-vector-tile" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	layers, err := mvt.Unmarshal(w.Body.Bytes())
	if err != nil || len(layers) != 1 || layers[0].Name != layer {
		t.Fatalf("%v: %+v", err, layers)
	}
	var out []map[string]any
	for _, f := range layers[0].Features {
		out = append(out, f.Properties)
	}
	return out
}

func TestTileOfATown(t *testing.T) {
	tn := newTown(t, tile.Config{})
	tn.report("a", sensor.Open, middle, 35)
	tn.report("b", sensor.Open, middle, 45)
	tn.report("hidden", sensor.Conditional, middle, 500)
	for z := uint8(0); z < 15; z++ {
		w := tn.get(urlAt(middle, z))
		fs := features(t, w, "cells")
		if len(fs) != 1 || fs[0]["n"] != 2.0 || fs[0]["mean"] != 40.0 || fs[0]["min"] != 35.0 || fs[0]["max"] != 45.0 || fs[0]["worst"] != 45.0 {
			t.Fatalf("z %d: %v", z, fs)
		}
		res := geo.ResolutionForZoom(z)
		c, err := geo.ParseCell(fs[0]["cell"].(string))
		if err != nil || c.Resolution() != res || w.Header().Get("Situ-Resolution") != fmt.Sprint(res) {
			t.Errorf("z %d: cell %v, header %q", z, c, w.Header().Get("Situ-Resolution"))
		}
	}
	fs := features(t, tn.get(urlAt(middle, 16)), "points")
	slices.SortFunc(fs, func(a, b map[string]any) int { return strings.Compare(a["thing"].(string), b["thing"].(string)) })
	if len(fs) != 2 || fs[0]["thing"] != "bureau/a" || fs[0]["result"] != 35.0 || fs[1]["fresh"] != 1.0 {
		t.Errorf("points %v", fs)
	}
}

func TestETag(t *testing.T) {
	tn := newTown(t, tile.Config{})
	tn.report("a", sensor.Open, middle, 35)
	first := tn.get(urlAt(middle, 12))
	tag := first.Header().Get("ETag")
	if !strings.HasPrefix(tag, `W/"`) || first.Header().Get("Cache-Control") != "no-cache" {
		t.Fatalf("%v", first.Header())
	}
	if w := tn.get(urlAt(middle, 12), "If-None-Match", `"other", `+tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("ETag") != tag {
		t.Errorf("unchanged: %d %v", w.Code, w.Header())
	}
	tn.report("elsewhere", sensor.Open, geo.LonLat{Lon: 108, Lat: 31}, 1)
	if w := tn.get(urlAt(middle, 12), "If-None-Match", tag); w.Code != http.StatusNotModified {
		t.Errorf("a change elsewhere: %d", w.Code)
	}
	tn.report("hidden", sensor.Restricted, middle, 1)
	if w := tn.get(urlAt(middle, 12), "If-None-Match", tag); w.Code != http.StatusNotModified {
		t.Errorf("a change out of scope: %d", w.Code)
	}
	for what, change := range map[string]func(){
		"a new value":   func() { tn.now = tn.now.Add(time.Second); tn.report("a", sensor.Open, middle, 36) },
		"growing stale": func() { tn.now = tn.now.Add(time.Hour); tn.Tick(tn.now) },
		"moving away": func() {
			tn.report("a", sensor.Open, geo.LonLat{Lon: 108, Lat: 31}, 36)
		},
	} {
		tag := tn.get(urlAt(middle, 12)).Header().Get("ETag")
		change()
		if w := tn.get(urlAt(middle, 12), "If-None-Match", tag); w.Code == http.StatusNotModified {
			t.Errorf("%s: still 304", what)
		}
		tn.now = tn.now.Add(time.Second)
		tn.report("a", sensor.Open, middle, 35)
	}
}

// TestETagAfterForgetting: what stood in a tile and has left, and has been forgotten, never makes an old tag valid.
func TestETagAfterForgetting(t *testing.T) {
	tn := newTown(t, tile.Config{})
	tn.report("gone", sensor.Open, geo.LonLat{Lon: middle.Lon + 0.01, Lat: middle.Lat}, 1)
	tn.report("stays", sensor.Open, middle, 35)
	tag := tn.get(urlAt(middle, 10)).Header().Get("ETag")
	tn.now = tn.now.Add(time.Second)
	tn.report("gone", sensor.Open, geo.LonLat{Lon: 108, Lat: 31}, 1)
	for range 20 { // minutes, less than it takes to grow stale
		tn.now = tn.now.Add(time.Minute)
		tn.Tick(tn.now)
	}
	w := tn.get(urlAt(middle, 10), "If-None-Match", tag)
	if w.Code != http.StatusOK {
		t.Fatalf("%d", w.Code)
	}
	if fs := features(t, w, "cells"); len(fs) != 1 {
		t.Errorf("%v", fs)
	}
}

func TestEmptyTileIs204(t *testing.T) {
	tn := newTown(t, tile.Config{})
	tn.report("a", sensor.Restricted, middle, 35)
	for _, url := range []string{urlAt(middle, 12), urlAt(middle, 15), "/tiles/temperature/0/0/0.mvt"} {
		if url == "/tiles/temperature/0/0/0.mvt" && tn.get("/tiles/temperature.json").Code == http.StatusNotFound {
			url = "/tiles/pm10/0/0/0.mvt"
		}
		if w := tn.get(url); w.Code != http.StatusNoContent || w.Body.Len() != 0 || w.Header().Get("ETag") == "" {
			t.Errorf("%s: %d %v", url, w.Code, w.Header())
		}
	}
}

func TestBadRequests(t *testing.T) {
	tn := newTown(t, tile.Config{})
	for url, want := range map[string]int{
		"/tiles/":                             404,
		"/tiles/pm2_5":                        404,
		"/tiles/nosuch.json":                  404,
		"/tiles/nosuch/1/1/1.mvt":             404,
		"/tiles/pm2_5/1/1/1.png":              404,
		"/tiles/pm2_5/1/1.mvt":                400,
		"/tiles/pm2_5/1/2/1.mvt":              400,
		"/tiles/pm2_5/1/1/2.mvt":              400,
		"/tiles/pm2_5/-1/0/0.mvt":             400,
		"/tiles/pm2_5/25/0/0.mvt":             400,
		"/tiles/pm2_5/1/1/1/1.mvt":            400,
		"/tiles/pm2_5/a/b/c.mvt":              400,
		"/tiles/pm2_5/99999999999999/0/0.mvt": 400,
		"/tiles/pm2_5/1/0x1/1.mvt":            400,
		"/tiles/%FF%FE.json":                  404,
	} {
		w := tn.get(url)
		var problem struct {
			Title, Detail string
			Status        int
		}
		if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || w.Code != want || problem.Status != want ||
			problem.Detail == "" || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s (%v), want %d", url, w.Code, w.Body, err, want)
		}
	}
	r := httptest.NewRequest(http.MethodPost, urlAt(middle, 3), nil)
	w := httptest.NewRecorder()
	tn.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", w.Code)
	}
}

// TestCoarser: too many cells in a tile, and it is drawn of fewer, larger ones that count the same Things.
func TestCoarser(t *testing.T) {
	reg := prometheus.NewRegistry()
	tn := newTown(t, tile.Config{MaxCells: 50, Metrics: tile.NewMetrics(reg)})
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 3000 {
		tn.add(fmt.Sprint(i), sensor.Open, geo.LonLat{Lon: 106 + rng.Float64(), Lat: 29 + rng.Float64()}, float64(i))
	}
	tn.Apply(&tn.batch, tn.now)
	w := tn.get(urlAt(geo.LonLat{Lon: 106.5, Lat: 29.5}, 10))
	fs := features(t, w, "cells")
	if res := w.Header().Get("Situ-Resolution"); len(fs) > 50 || len(fs) < 3 || res != "6" && res != "5" {
		t.Errorf("%d cells of resolution %s", len(fs), res)
	}
	things := 0.0
	for _, f := range features(t, tn.get(urlAt(geo.LonLat{Lon: 106.5, Lat: 29.5}, 4)), "cells") {
		things += f["n"].(float64)
	}
	if things != 3000 {
		t.Errorf("%v Things on the tile of the whole region, want 3000", things)
	}
	if n := testutil.ToFloat64(counter(t, reg, "situ_tile_coarsened_total")); n < 1 {
		t.Errorf("coarsened counter %v", n)
	}
}

func counter(t *testing.T, reg *prometheus.Registry, name string) prometheus.Collector {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			c := prometheus.NewCounter(prometheus.CounterOpts{Name: name})
			c.Add(f.GetMetric()[0].GetCounter().GetValue())
			return c
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

// TestEveryThingIsOnItsTile: what lies in a tile is on it, at every zoom and everywhere in the world.
func TestEveryThingIsOnItsTile(t *testing.T) {
	tn := newTown(t, tile.Config{})
	rng := rand.New(rand.NewPCG(2, 1))
	var places []geo.LonLat
	for i := range 200 {
		p := geo.LonLat{Lon: -180 + 360*rng.Float64(), Lat: -84 + 168*rng.Float64()}
		if i%2 == 0 {
			p = geo.LonLat{Lon: 106 + rng.Float64(), Lat: 29 + rng.Float64()}
		}
		places = append(places, p)
		tn.add(fmt.Sprint(i), sensor.Open, p, float64(i))
	}
	tn.Apply(&tn.batch, tn.now)
	for _, p := range places {
		for _, z := range []uint8{0, 3, 7, 9, 11, 13, 14, 15, 18} {
			at, want := p, ""
			if z < geo.PointsZoom { // a cell's descendants reach beyond its outline: ask where the cell is, not the Thing
				cell := h3.CellAt(p, h3.StoredResolution).Parent(geo.ResolutionForZoom(z))
				centre, err := h3.Center(cell)
				if err != nil {
					t.Fatal(err)
				}
				at, want = centre, cell.String()
			}
			w := tn.get(urlAt(at, z))
			if w.Code != http.StatusOK {
				t.Fatalf("%v z %d: %d", p, z, w.Code)
			}
			layers, err := mvt.Unmarshal(w.Body.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			x, y := geo.TileAt(at, z).Fraction(at)
			hit := false
			for _, f := range layers[0].Features {
				here := f.Geometry.Bound().Pad(2).Contains(orb.Point{x * 4096, y * 4096})
				hit = hit || here && (want == "" || f.Properties["cell"] == want)
			}
			if !hit {
				t.Fatalf("%v (cell %q) is not on its tile of zoom %d", p, want, z)
			}
		}
	}
}

func TestGzipAndHead(t *testing.T) {
	tn := newTown(t, tile.Config{})
	rng := rand.New(rand.NewPCG(3, 1))
	for i := range 500 {
		tn.add(fmt.Sprint(i), sensor.Open, geo.LonLat{Lon: 106 + rng.Float64(), Lat: 29 + rng.Float64()}, rng.Float64())
	}
	tn.Apply(&tn.batch, tn.now)
	url := urlAt(geo.LonLat{Lon: 106.5, Lat: 29.5}, 8)
	plain := tn.get(url)
	for _, accept := range []string{"gzip, deflate, br", "br;q=1.0, gzip;q=0.5", "*"} {
		w := tn.get(url, "Accept-Encoding", accept)
		z, err := gzip.NewReader(w.Body)
		if err != nil || w.Header().Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v %v", accept, err, w.Header())
		}
		if b, err := io.ReadAll(z); err != nil || string(b) != plain.Body.String() {
			t.Errorf("%s: differs (%v)", accept, err)
		}
	}
	for _, accept := range []string{"", "br", "gzip;q=0", "identity"} {
		if w := tn.get(url, "Accept-Encoding", accept); w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%q got gzip", accept)
		}
	}
	r := httptest.NewRequest(http.MethodHead, url, nil)
	w := httptest.NewRecorder()
	tn.Handler.ServeHTTP(w, r)
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != fmt.Sprint(plain.Body.Len()) {
		t.Errorf("HEAD: %d %v", w.Code, w.Header())
	}
}

func TestTileJSON(t *testing.T) {
	tn := newTown(t, tile.Config{Bounds: geo.Box{West: 105.2, South: 28.1, East: 110.2, North: 32.2}})
	w := tn.get("http://map.example:8080/tiles/pm2_5.json")
	var doc struct {
		TileJSON     string
		Tiles        []string
		MinZoom      int
		MaxZoom      int
		Bounds       []float64
		VectorLayers []struct {
			ID      string
			MinZoom int
			MaxZoom int
			Fields  map[string]string
		} `json:"vector_layers"`
		Situ struct{ Unit string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 200 {
		t.Fatalf("%d %v %s", w.Code, err, w.Body)
	}
	if doc.TileJSON != "3.0.0" || len(doc.Tiles) != 1 || doc.Tiles[0] != "http://map.example:8080/tiles/pm2_5/{z}/{x}/{y}.mvt" ||
		doc.MaxZoom != 15 || len(doc.Bounds) != 4 || len(doc.VectorLayers) != 2 || doc.Situ.Unit != "ug/m3" {
		t.Fatalf("%+v", doc)
	}
	if c := doc.VectorLayers[0]; c.ID != "cells" || c.MaxZoom != 14 || len(c.Fields) != 8 || c.Fields["worst"] == "" {
		t.Errorf("%+v", c)
	}
	if c := doc.VectorLayers[1]; c.ID != "points" || c.MinZoom != 15 || len(c.Fields) != 5 {
		t.Errorf("%+v", c)
	}
	proxied := tn.get("http://map.example/tiles/pm2_5.json", "X-Forwarded-Proto", "https")
	if !strings.Contains(proxied.Body.String(), "https://map.example/tiles/") {
		t.Errorf("%s", proxied.Body)
	}
}

// TestWhileItReports: many viewers and one reporter at once; the race detector watches.
func TestWhileItReports(t *testing.T) {
	tn := newTown(t, tile.Config{})
	for i := range 200 {
		tn.add(fmt.Sprint(i), sensor.Open, geo.LonLat{Lon: 106 + float64(i%20)/100, Lat: 29 + float64(i/20)/100}, 1)
	}
	tn.Apply(&tn.batch, tn.now)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			tag := ""
			for i := range 60 {
				w := tn.get(urlAt(geo.LonLat{Lon: 106.1, Lat: 29.05}, uint8(6+i%10)), "If-None-Match", tag, "Accept-Encoding", "gzip")
				if w.Code != 200 && w.Code != 304 && w.Code != 204 {
					t.Errorf("%d", w.Code)
				}
				tag = w.Header().Get("ETag")
			}
		})
	}
	for range 50 {
		tn.now = tn.now.Add(time.Second)
		tn.Apply(&tn.batch, tn.now)
		tn.Tick(tn.now)
	}
	wg.Wait()
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ head http.Header }

func (d *discard) Header() http.Header         { return d.head }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkHandler is a tile from the live state to compressed bytes, without the socket.
func BenchmarkHandler(b *testing.B) {
	tn := newTown(b, tile.Config{})
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 40_000 {
		tn.add(fmt.Sprint(i), sensor.Open, geo.LonLat{Lon: 106 + rng.Float64(), Lat: 29 + rng.Float64()}, float64(i))
	}
	tn.Apply(&tn.batch, tn.now)
	for _, z := range []uint8{8, 10, 12, 14} {
		b.Run(fmt.Sprintf("z=%d", z), func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, urlAt(geo.LonLat{Lon: 106.5, Lat: 29.5}, z), nil)
			r.Header.Set("Accept-Encoding", "gzip")
			w := &discard{http.Header{}}
			b.ReportAllocs()
			for range b.N {
				tn.Handler.ServeHTTP(w, r)
			}
		})
	}
}
