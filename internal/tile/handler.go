package tile

import (
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// Defaults of Config.
const (
	DefaultMaxCells  = 4_000
	DefaultMaxPoints = 20_000
)

const gzipFrom = 512 // bytes below which compressing costs more than it saves

// Source is what the handler needs of the live state.
type Source interface {
	// Cells appends the cells of resolution res with a value of property p that may touch area, and gives a version
	// that rises whenever one of them changes. Resolutions finer than the source has may be answered coarser.
	Cells(dst []sensor.CellSummary, p sensor.PropertyNumber, res int, area geo.Box, scope sensor.Scope) ([]sensor.CellSummary, uint64)
	// Points appends the Things in area with a value of property p, at most limit of them.
	Points(dst []sensor.PointSummary, p sensor.PropertyNumber, area geo.Box, scope sensor.Scope, limit int) ([]sensor.PointSummary, uint64)
}

// Catalogue is what the handler needs of the property catalogue.
type Catalogue interface {
	ByCode(sensor.PropertyCode) (*sensor.ObservedProperty, bool)
}

// Config of a Handler. Source, Catalogue and Scope are needed.
type Config struct {
	Source    Source
	Catalogue Catalogue
	Scope     func(*http.Request) sensor.Scope // what this viewer may see
	Metrics   *Metrics                         // nil = none
	MaxCells  int                              // more in one tile, and it is drawn coarser; 0 = DefaultMaxCells
	MaxPoints int                              // more in one tile are left out, and counted; 0 = DefaultMaxPoints
	Bounds    geo.Box                          // where there is something to see; zero = the whole world
}

// Handler serves /tiles/{set}.json and /tiles/{set}/{z}/{x}/{y}.mvt. A set is a property's code.
type Handler struct {
	Config
	renderer Renderer
	buffers  sync.Pool // of *buffers
	zippers  sync.Pool // of *gzip.Writer
}

// buffers is one request's memory, used again.
type buffers struct {
	cells  []sensor.CellSummary
	points []sensor.PointSummary
	tile   []byte
	zipped writer
}

// writer collects bytes.
type writer []byte

func (w *writer) Write(b []byte) (int, error) { *w = append(*w, b...); return len(b), nil }

// NewHandler makes a Handler.
func NewHandler(c Config) *Handler {
	if c.MaxCells == 0 {
		c.MaxCells = DefaultMaxCells
	}
	if c.MaxPoints == 0 {
		c.MaxPoints = DefaultMaxPoints
	}
	if c.Bounds == (geo.Box{}) {
		c.Bounds = geo.Box{West: -180, South: -85.0511, East: 180, North: 85.0511}
	}
	return &Handler{Config: c}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.refuse(w, http.StatusMethodNotAllowed, "tiles are read with GET or HEAD")
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/tiles/")
	if !ok {
		h.refuse(w, http.StatusNotFound, "want /tiles/{set}.json or /tiles/{set}/{z}/{x}/{y}.mvt")
		return
	}
	set, rest, isTile := strings.Cut(path, "/")
	if !isTile {
		set, ok = strings.CutSuffix(set, ".json")
	}
	p, known := h.Catalogue.ByCode(sensor.PropertyCode(set))
	switch {
	case !ok:
		h.refuse(w, http.StatusNotFound, "want /tiles/{set}.json or /tiles/{set}/{z}/{x}/{y}.mvt")
	case !known:
		h.refuse(w, http.StatusNotFound, "no set "+strconv.Quote(set)+"; sets are the property codes that /v1/properties lists")
	case isTile:
		h.serveTile(w, r, p, rest)
	default:
		h.serveJSON(w, r, p)
	}
}

func (h *Handler) serveTile(w http.ResponseWriter, r *http.Request, p *sensor.ObservedProperty, path string) {
	name, ok := strings.CutSuffix(path, ".mvt")
	if !ok {
		h.refuse(w, http.StatusNotFound, "tiles are named {z}/{x}/{y}.mvt")
		return
	}
	t, err := geo.ParseTile(name)
	if err != nil {
		h.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	b, ok := h.buffers.Get().(*buffers)
	if !ok {
		b = &buffers{}
	}
	defer h.buffers.Put(b)
	timer := h.Metrics.start()
	d := h.gather(b, t, p.Number, h.Scope(r))
	head := w.Header()
	head.Set("Cache-Control", "no-cache") // keep it, and ask each time whether it still holds
	head.Set("Vary", "Accept-Encoding, Authorization")
	head.Set("ETag", d.etag)
	if d.res >= 0 {
		head.Set("Situ-Resolution", strconv.Itoa(d.res))
	}
	switch {
	case matches(r.Header.Get("If-None-Match"), d.etag):
		w.WriteHeader(http.StatusNotModified)
		h.Metrics.answered(http.StatusNotModified, timer)
		return
	case d.res >= 0:
		b.tile = h.renderer.Cells(b.tile[:0], t, b.cells)
	default:
		b.tile = h.renderer.Points(b.tile[:0], t, b.points)
	}
	if len(b.tile) == 0 {
		w.WriteHeader(http.StatusNoContent)
		h.Metrics.answered(http.StatusNoContent, timer)
		return
	}
	head.Set("Content-Type", "application/vnd.mapbox-vector-tile")
	body := b.tile
	if len(body) >= gzipFrom && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		head.Set("Content-Encoding", "gzip")
		body = h.zip(b)
	}
	head.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the client has gone: nothing to do about it
	}
	h.Metrics.answered(http.StatusOK, timer)
}

// drawn says what a tile is drawn of.
type drawn struct {
	res  int // of its cells; -1: points
	etag string
}

// gather asks the source for what the tile shows, coarser until it is little enough.
func (h *Handler) gather(b *buffers, t geo.Tile, p sensor.PropertyNumber, scope sensor.Scope) drawn {
	var version uint64
	if t.Z >= geo.PointsZoom {
		b.points, version = h.Source.Points(b.points[:0], p, buffered(t), scope, h.MaxPoints)
		if len(b.points) >= h.MaxPoints {
			h.Metrics.cut()
		}
		return drawn{-1, etag(version, -1, scope)}
	}
	res := geo.ResolutionForZoom(t.Z)
	area := buffered(t)
	b.cells, version = h.Source.Cells(b.cells[:0], p, res, area, scope)
	for len(b.cells) > h.MaxCells && res > 0 {
		res--
		b.cells, version = h.Source.Cells(b.cells[:0], p, res, area, scope)
	}
	if res < geo.ResolutionForZoom(t.Z) {
		h.Metrics.coarsened()
	}
	return drawn{res, etag(version, res, scope)}
}

// buffered is the tile's box with its buffer.
func buffered(t geo.Tile) geo.Box {
	side := float64(uint32(1) << t.Z)
	const rim = float64(buffer) / extent
	west, east := (float64(t.X)-rim)/side, (float64(t.X)+1+rim)/side
	if east-west >= 1 {
		west, east = 0, 1
	}
	nw := geo.FromMercator(west, max((float64(t.Y)-rim)/side, 0))
	se := geo.FromMercator(east, min((float64(t.Y)+1+rim)/side, 1))
	return geo.Box{West: turned(nw.Lon), South: se.Lat, East: turned(se.Lon), North: nw.Lat}
}

func turned(lon float64) float64 {
	switch {
	case lon < -180:
		return lon + 360
	case lon > 180:
		return lon - 360
	}
	return lon
}

// etag names what a tile shows. It is weak: compressed or not, it is the same.
func etag(version uint64, res int, scope sensor.Scope) string {
	b := append(make([]byte, 0, 32), `W/"`...)
	b = strconv.AppendUint(b, version, 36)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(res), 10)
	b = append(b, '-')
	b = strconv.AppendUint(b, uint64(scope), 16)
	return string(append(b, '"'))
}

// matches reports whether an If-None-Match header names the tag, by weak comparison [RFC 9110 13.1.2].
func matches(header, tag string) bool {
	for _, one := range strings.Split(header, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || one != "" && strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// acceptsGzip reads Accept-Encoding: gzip is named (or anything is), and not with a weight of zero.
func acceptsGzip(header string) bool {
	for _, one := range strings.Split(header, ",") {
		coding, weight, weighted := strings.Cut(strings.TrimSpace(one), ";")
		if coding = strings.TrimSpace(coding); coding != "gzip" && coding != "*" {
			continue
		}
		q, isQ := strings.CutPrefix(strings.TrimSpace(weight), "q=")
		v, err := strconv.ParseFloat(q, 64)
		return !weighted || !isQ || err != nil || v > 0
	}
	return false
}

// zip compresses the tile. Stateless compression is as fast and as small as level 1 here, and holds no memory.
func (h *Handler) zip(b *buffers) []byte {
	b.zipped = b.zipped[:0]
	z, ok := h.zippers.Get().(*gzip.Writer)
	if !ok {
		z, _ = gzip.NewWriterLevel(&b.zipped, gzip.StatelessCompression) // a level the package has: no error
	}
	z.Reset(&b.zipped)
	_, _ = z.Write(b.tile) // into memory
	_ = z.Close()
	h.zippers.Put(z)
	return b.zipped
}
