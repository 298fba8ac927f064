package main

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/pkg/geo"
)

// trackers tell where they are, and nothing else: topic, payload for a place and a moment, set of tiles.
var trackers = map[string]struct {
	topic   string
	payload func(p geo.LonLat, at time.Time) string
}{
	"owntracks": {"situ/v1/anna/phone/owntracks", func(p geo.LonLat, at time.Time) string {
		return fmt.Sprintf(`{"_type":"location","tst":%d,"lon":%v,"lat":%v}`, at.Unix(), p.Lon, p.Lat)
	}},
	"meshtastic": {"situ/v1/mesh/-/meshtastic", func(p geo.LonLat, at time.Time) string {
		return fmt.Sprintf(`{"from":3735928559,"type":"position","timestamp":%d,"payload":{"longitude_i":%.0f,"latitude_i":%.0f}}`, at.Unix(), p.Lon*1e7, p.Lat*1e7)
	}},
	"ttn": {"situ/v1/farm/-/ttn", func(p geo.LonLat, at time.Time) string {
		return fmt.Sprintf(`{"end_device_ids":{"dev_eui":"70B3D57ED0061A07"},"received_at":%q,"location_solved":{"location":{"longitude":%v,"latitude":%v}}}`,
			at.UTC().Format(time.RFC3339), p.Lon, p.Lat)
	}},
	"json": {"situ/v1/bus/7/json", func(p geo.LonLat, at time.Time) string {
		return fmt.Sprintf(`{"t":%d,"lon":%v,"lat":%v}`, at.UnixMilli(), p.Lon, p.Lat)
	}},
}

// A tracker that tells only where it is stands on the map, and moves: from one live tile into another.
func TestTrackersMoveOnTheMap(t *testing.T) {
	l := start(t, apptest.Dir(t), "--auto-register", "--history", "off")
	const zoom = 15 // points
	begin := time.Now().Add(-time.Minute)
	row := 0.0
	for name, tr := range trackers {
		t.Run(name, func(t *testing.T) {
			row += 0.1 // of tiles, for this one alone
			from, to := geo.LonLat{Lon: 106.5, Lat: 29.3 + row}, geo.LonLat{Lon: 106.6, Lat: 29.3 + row}
			l.Publish(t, tr.topic, tr.payload(from, begin))
			apptest.Until(t, time.Minute, func() string { return stands(t, l, from, zoom, true) })
			l.Publish(t, tr.topic, tr.payload(to, begin.Add(20*time.Second)))
			apptest.Until(t, time.Minute, func() string { return stands(t, l, to, zoom, true) })
			apptest.Until(t, time.Minute, func() string { return stands(t, l, from, zoom, false) })
		})
	}
}

// stands says whether the live tile around p shows one Thing at p, or none.
func stands(t *testing.T, l *life, p geo.LonLat, zoom uint8, want bool) string {
	t.Helper()
	at := geo.TileAt(p, zoom)
	a := l.Do(t, apptest.Key, http.MethodGet, "/tiles/position_fix/"+at.String()+".mvt", "")
	points := 0
	if a.Status == http.StatusOK {
		layers, err := mvt.Unmarshal([]byte(a.Body))
		if err != nil {
			t.Fatal(err)
		}
		layers.ProjectToWGS84(maptile.New(at.X, at.Y, maptile.Zoom(at.Z)))
		for _, layer := range layers {
			for _, f := range layer.Features {
				if q, ok := f.Geometry.(orb.Point); ok && math.Abs(q[0]-p.Lon) < 1e-4 && math.Abs(q[1]-p.Lat) < 1e-4 {
					points++
				}
			}
		}
	}
	if want == (points == 1) && points < 2 {
		return ""
	}
	return fmt.Sprintf("%d points at %v in tile %s, answered with %d", points, p, at, a.Status)
}
