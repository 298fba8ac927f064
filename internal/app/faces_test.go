package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb/encoding/mvt"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/decode/hj212"
	"github.com/situ-city/situ/pkg/geo"
)

// station is registered in the datum of Chinese maps, with its number inside frames.
const station = `id,title,class,grade,lon,lat,crs,serial,interval,properties
eco/air-1,South gate,government,open,106.5802,29.5602,GCJ02,SITU00000000000000000001,60,pm2_5;temperature
eco/air-2,North gate,government,open,106.5810,29.5610,GCJ02,SITU00000000000000000002,60,pm2_5
`

// frame is an HJ 212 report of one minute's PM2.5.
func frame(mn string, at time.Time, value string) string {
	zone := time.FixedZone("", 8*3600)
	return string(hj212.Append(nil, hj212.Frame{QN: at.In(zone).Format("20060102150405") + "000", ST: "22", CN: "2011", PW: "123456", MN: mn, Flag: "5",
		DataTime: at.In(zone).Format("20060102150405"), Values: []hj212.Value{{Code: "a34004", Param: "Rtd", Text: value, Flag: "N"}}}))
}

// One JSON reading and one HJ 212 frame, published once, are on every face: Thing, cell, tile, live stream, history,
// SQL. A start later they still are.
func TestOnEveryFace(t *testing.T) {
	data := apptest.Dir(t)
	r := run(t, data, open)
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/register", station); a.Status != http.StatusMultiStatus || strings.Count(a.Body, `"created"`) != 2 {
		t.Fatalf("register: %d %s", a.Status, a.Body)
	}
	at := time.Now().Truncate(time.Second)
	published := time.Now()
	r.Publish(t, "situ/v1/eco/air-1/json", fmt.Sprintf(`{"t":%d,"pm2_5":40.5,"temperature":21}`, at.UnixMilli()))
	r.Publish(t, "situ/v1/eco/air-2/hj212", frame("SITU00000000000000000002", at, "60.5"))
	r.Publish(t, "situ/v1/eco/homeless/json", fmt.Sprintf(`{"t":%d,"pm2_5":1}`, at.UnixMilli()))
	r.Publish(t, "situ/v1/eco/air-1/json", fmt.Sprintf(`{"t":%d,"pm2_5":77.5}`, at.Add(-72*time.Hour).UnixMilli()))
	apptest.Until(t, 20*time.Second, func() string { return onFaces(t, r, at) })
	t.Logf("on every face %s after the first PUBLISH", time.Since(published).Round(time.Millisecond))
	regrade(t, r)
	follow(t, r)
	conditional(t, r)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = run(t, data, open)
	apptest.Until(t, 20*time.Second, func() string { return onFaces(t, r, at) })
}

// onFaces says on which face something is missing.
func onFaces(t *testing.T, r *rig, at time.Time) string {
	t.Helper()
	var things [2]struct {
		Cell        geo.Cell
		Lon, Lat    float64
		Datastreams []struct {
			ID, Property, Unit string
			Latest             *struct {
				Result float64
				Time   time.Time
			}
		}
	}
	for i, want := range []float64{40.5, 60.5} {
		r.Get(t, fmt.Sprintf("/v1/things/eco/air-%d", i+1), &things[i])
		found := false
		for _, d := range things[i].Datastreams {
			found = found || d.Property == "pm2_5" && d.Latest != nil && d.Latest.Result == want && d.Latest.Time.Equal(at)
		}
		if !found {
			return fmt.Sprintf("the Thing air-%d has %+v", i+1, things[i])
		}
	}
	if d := distance(things[0].Lon, things[0].Lat, 106.5764, 29.5630); d > 60 {
		return fmt.Sprintf("air-1 stands %.0f m from where WGS 84 has it", d)
	}
	for _, check := range []func(*testing.T, *rig, geo.Cell, float64, float64) string{onCell, onTile, onPoints, inHistory} {
		if why := check(t, r, things[0].Cell, things[0].Lon, things[0].Lat); why != "" {
			return why
		}
	}
	return ""
}

func distance(lon1, lat1, lon2, lat2 float64) float64 {
	const metres = 111_195
	return math.Hypot((lon1-lon2)*math.Cos(lat1*math.Pi/180), lat1-lat2) * metres
}

type cellNumbers struct {
	Property  string
	N, Fresh  int
	Mean, Max *float64
}

func onCell(t *testing.T, r *rig, cell geo.Cell, _, _ float64) string {
	t.Helper()
	var doc struct {
		Properties []cellNumbers
		Things     []struct{ ID string }
	}
	r.Get(t, "/v1/cells/"+cell.Parent(6).String(), &doc)
	for _, p := range doc.Properties {
		if p.Property == "pm2_5" && p.N == 2 && p.Fresh == 2 && *p.Mean == 50.5 && *p.Max == 60.5 && len(doc.Things) == 2 {
			return ""
		}
	}
	return fmt.Sprintf("the cell has %+v", doc)
}

// layers gets a tile as MapLibre would.
func layers(t *testing.T, r *rig, tile geo.Tile) (mvt.Layers, http.Header) {
	t.Helper()
	a := r.Do(t, apptest.Key, http.MethodGet, "/tiles/pm2_5/"+tile.String()+".mvt", "")
	if a.Status == http.StatusNoContent {
		return nil, a.Header
	}
	if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/vnd.mapbox-vector-tile" {
		t.Fatalf("tile %s: %d %v", tile, a.Status, a.Header)
	}
	l, err := mvt.Unmarshal([]byte(a.Body))
	if err != nil {
		t.Fatalf("tile %s: %v", tile, err)
	}
	return l, a.Header
}

func onTile(t *testing.T, r *rig, cell geo.Cell, lon, lat float64) string {
	t.Helper()
	at := geo.TileAt(geo.LonLat{Lon: lon, Lat: lat}, 9)
	all, _ := layers(t, r, at)
	for _, l := range all {
		for _, f := range l.Features {
			if l.Name == "cells" && f.Properties["cell"] == cell.Parent(geo.ResolutionForZoom(9)).String() && number(f.Properties["n"]) == 2 && number(f.Properties["mean"]) == 50.5 {
				return ""
			}
		}
	}
	return fmt.Sprintf("tile %s has %+v", at, all)
}

func onPoints(t *testing.T, r *rig, _ geo.Cell, lon, lat float64) string {
	t.Helper()
	at := geo.TileAt(geo.LonLat{Lon: lon, Lat: lat}, 15)
	all, _ := layers(t, r, at)
	for _, l := range all {
		for _, f := range l.Features {
			if l.Name == "points" && f.Properties["thing"] == "eco/air-1" && number(f.Properties["result"]) == 40.5 && number(f.Properties["fresh"]) == 1 {
				return ""
			}
		}
	}
	return fmt.Sprintf("tile %s has %+v", at, all)
}

// number reads any of MVT's numbers.
func number(v any) float64 {
	var x float64
	if _, err := fmt.Sscan(fmt.Sprint(v), &x); err != nil {
		return math.NaN()
	}
	return x
}

func inHistory(t *testing.T, r *rig, _ geo.Cell, _, _ float64) string {
	t.Helper()
	got := r.SQL(t, `SELECT thing, property, source_key, unit, result, lon IS NULL AS nowhere, lane FROM history WHERE owner = 'eco' ORDER BY thing, property, result`)
	want := []string{"eco/air-1 pm2_5 pm2_5 ug/m3 40.5 0 0", "eco/air-1 pm2_5 pm2_5 ug/m3 77.5 0 1", "eco/air-1 temperature temperature Cel 21 0 0",
		"eco/air-2 pm2_5 a34004-Rtd ug/m3 60.5 0 0", "eco/homeless pm2_5 pm2_5 ug/m3 1 1 0"}
	var lines []string
	for _, row := range got {
		lines = append(lines, fmt.Sprint(row["thing"], " ", row["property"], " ", row["source_key"], " ", row["unit"], " ", row["result"], " ", row["nowhere"], " ", row["lane"]))
	}
	if !slices.Equal(lines, want) {
		return fmt.Sprintf("history has\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	var page struct{ Things []struct{ ID string } }
	r.Get(t, "/v1/things?place=none", &page)
	if len(page.Things) != 1 || page.Things[0].ID != "eco/homeless" {
		return fmt.Sprintf("without place are %v", page.Things)
	}
	var thing struct {
		Datastreams []struct{ ID, Property string }
	}
	r.Get(t, "/v1/things/eco/air-1", &thing)
	for _, d := range thing.Datastreams {
		if d.Property != "pm2_5" {
			continue
		}
		var series struct {
			Unit         string
			Observations []struct{ Result float64 }
		}
		r.Get(t, "/v1/observations?datastream="+d.ID+"&from="+time.Now().Add(-100*time.Hour).UTC().Format(time.RFC3339), &series)
		if len(series.Observations) != 2 || series.Observations[0].Result != 77.5 || series.Observations[1].Result != 40.5 {
			return fmt.Sprintf("the series of %s has %+v", d.ID, series)
		}
	}
	return ""
}

// regrade: what the registry says now is what history says of the past.
func regrade(t *testing.T, r *rig) {
	t.Helper()
	const query = "SELECT owner_class, grade FROM history WHERE thing = 'eco/homeless'"
	if got := r.SQL(t, query)[0]; got.String("owner_class") != "unknown" || got.String("grade") != "restricted" {
		t.Errorf("a Thing that nobody registered is %v", got)
	}
	if a := r.Do(t, apptest.Key, http.MethodPost, "/v1/register", "id,class,grade\neco/homeless,enterprise,open\n"); a.Status != http.StatusMultiStatus {
		t.Fatalf("register: %d %s", a.Status, a.Body)
	}
	apptest.Until(t, 20*time.Second, func() string {
		if got := r.SQL(t, query)[0]; got.String("owner_class") != "enterprise" || got.String("grade") != "open" {
			return fmt.Sprintf("history says %v of a Thing that is registered otherwise", got)
		}
		return ""
	})
}

// follow opens the stream of a viewport: it tells what changes there, and only that.
func follow(t *testing.T, r *rig) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+"/live?set=pm2_5&bbox=107.5,30.5,108.5,31.5&z=9", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("/live: %s %v", res.Status, res.Header)
	}
	events := bufio.NewScanner(res.Body)
	next := func(want func(cells [][]any) bool) {
		t.Helper()
		name := ""
		for events.Scan() {
			if rest, ok := strings.CutPrefix(events.Text(), "event: "); ok {
				name = rest
			}
			data, ok := strings.CutPrefix(events.Text(), "data: ")
			if !ok || name != "cells" {
				continue
			}
			var doc struct {
				Set   string
				Cells [][]any
			}
			if err := json.Unmarshal([]byte(data), &doc); err != nil {
				t.Fatalf("%v in %s", err, data)
			}
			if doc.Set == "pm2_5" && want(doc.Cells) {
				return
			}
		}
		t.Fatalf("the stream ended: %v", events.Err())
	}
	for _, x := range []float64{20.5, 30.5, 20.5} {
		r.Publish(t, "situ/v1/far/one/json", fmt.Sprintf(`{"pm2_5":%g,"lon":108,"lat":31}`, x))
		next(func(c [][]any) bool { return len(c) == 1 && c[0][1] == 1.0 && c[0][3] == x })
	}
}

// conditional: a tile that has not changed is not sent again, an empty one is 204.
func conditional(t *testing.T, r *rig) {
	t.Helper()
	at := geo.TileAt(geo.LonLat{Lon: 106.5764, Lat: 29.5630}, 9)
	_, h := layers(t, r, at)
	if !strings.HasPrefix(h.Get("ETag"), `W/"`) {
		t.Errorf("ETag %q", h.Get("ETag"))
	}
	if a := r.Send(t, http.MethodGet, "/tiles/pm2_5/"+at.String()+".mvt", "", map[string]string{"If-None-Match": h.Get("ETag")}); a.Status != http.StatusNotModified {
		t.Errorf("the same tile again: %d", a.Status)
	}
	if l, _ := layers(t, r, geo.TileAt(geo.LonLat{Lon: 108.9, Lat: 31.9}, 12)); l != nil {
		t.Errorf("a tile without Things has %v", l)
	}
	for path, want := range map[string]int{
		"/tiles/pm2_5/99/0/0.mvt": 404, "/tiles/pm2_5/3/9/0.mvt": 404, "/tiles/nothing/3/1/1.mvt": 404, "/tiles/pm2_5/3/1/1.png": 404,
		"/tiles/pm2_5.json": 200, "/v1/cells/zz": 400, "/v1/things/eco/nobody": 404, "/v1/observations?datastream=zz": 400, "/v1/observations?datastream=1": 404, "/v1/things?cursor=@": 400,
	} {
		if a := r.Do(t, apptest.Key, http.MethodGet, path, ""); a.Status != want && !(a.Status == 400 && want == 404) {
			t.Errorf("GET %s: %d %.100s, want %d", path, a.Status, a.Body, want)
		}
	}
}
