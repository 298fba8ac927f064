package journey

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/encoding/wkt"
	"github.com/paulmach/orb/maptile"

	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/internal/tile"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

const (
	cellResolution = 8
	tileZoom       = 12
)

// live is steps 7 and 8: the live state tails the bus, and a tile shows it.
func (j *journey) live() {
	j.Helper()
	s := livestate.New(query.Meta{Registry: j.registry, Catalogue: j.catalogue}, j.catalogue, arrival)
	for _, lane := range j.lanes() {
		if d := j.batches[lane].Declarations; len(d) > 0 {
			_, err := j.registry.Declare(j.Context(), d)
			j.check(err)
		}
		s.Apply(j.batches[lane], arrival)
	}
	world := geo.Box{West: -180, South: -85, East: 180, North: 85}
	cells := map[sensor.PropertyCode][]cellDoc{}
	tiles := []tileDoc{}
	h := tile.NewHandler(tile.Config{Source: s, Catalogue: j.catalogue, Scope: func(*http.Request) sensor.Scope { return sensor.ScopeAll }})
	for _, n := range s.Sets() {
		p, _ := j.catalogue.ByNumber(n)
		list, _ := s.Cells(nil, n, cellResolution, world, sensor.ScopeAll)
		for _, c := range list {
			cells[p.Code] = append(cells[p.Code], cellDocOf(c))
			tiles = append(tiles, j.tile(h, p.Code, c.Cell))
		}
	}
	j.json("cell.json", cells)
	j.json("tile.json", tiles)
}

type cellDoc struct {
	Cell   geo.Cell `json:"cell"`
	N      uint32   `json:"n"`
	Fresh  uint32   `json:"fresh"`
	Mean   float64  `json:"mean"`
	Min    float64  `json:"min"`
	Max    float64  `json:"max"`
	Worst  float64  `json:"worst"`
	Newest string   `json:"newest"`
}

func cellDocOf(c sensor.CellSummary) cellDoc {
	return cellDoc{c.Cell, c.N, c.Fresh, c.Mean, c.Min, c.Max, c.Worst, clock(c.Newest)}
}

type tileDoc struct {
	Path   string                  `json:"path"`
	Layers map[string][]featureDoc `json:"layers"`
}

type featureDoc struct {
	Shape      string         `json:"shape"` // WKT, in degrees
	Properties map[string]any `json:"properties"`
}

// tile asks for the tile that holds a cell's centre and reads it as a map would.
func (j *journey) tile(h http.Handler, set sensor.PropertyCode, cell geo.Cell) tileDoc {
	j.Helper()
	center, err := h3.Center(cell)
	j.check(err)
	at := geo.TileAt(center, tileZoom)
	path := "/tiles/" + string(set) + "/" + at.String() + ".mvt"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		j.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return j.tileDocOf(path, w.Body.Bytes())
}

// tileDocOf is what a vector tile shows.
func (j *journey) tileDocOf(path string, body []byte) tileDoc {
	j.Helper()
	doc := tileDoc{Path: path, Layers: map[string][]featureDoc{}}
	var at maptile.Tile
	var tiles, set string
	if _, err := fmt.Sscan(strings.NewReplacer("/", " ", ".mvt", "").Replace(path), &tiles, &set, &at.Z, &at.X, &at.Y); err != nil {
		j.Fatalf("%s: %v", path, err)
	}
	layers, err := mvt.Unmarshal(body)
	j.check(err)
	layers.ProjectToWGS84(at)
	for _, l := range layers {
		for _, f := range l.Features {
			doc.Layers[l.Name] = append(doc.Layers[l.Name], featureDoc{wkt.MarshalString(rounded(f.Geometry)), f.Properties})
		}
	}
	return doc
}

// rounded cuts a shape's coordinates to what a tile's grid can tell apart.
func rounded(g orb.Geometry) orb.Geometry {
	p, ok := g.(orb.Polygon)
	if !ok {
		return g
	}
	for _, ring := range p {
		for i := range ring {
			ring[i] = orb.Point{math.Round(ring[i][0]*1e5) / 1e5, math.Round(ring[i][1]*1e5) / 1e5}
		}
	}
	return p
}
