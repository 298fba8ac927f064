package tile

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// tileJSON is the document of TileJSON 3.0.0. Keys of our own are allowed there (3.0.0, section 3); `situ` is one.
type tileJSON struct {
	TileJSON     string        `json:"tilejson"`
	Name         string        `json:"name"`
	Description  string        `json:"description"`
	Scheme       string        `json:"scheme"`
	Tiles        []string      `json:"tiles"`
	MinZoom      int           `json:"minzoom"`
	MaxZoom      int           `json:"maxzoom"`
	Bounds       [4]float64    `json:"bounds"`
	Center       [3]float64    `json:"center"`
	VectorLayers []vectorLayer `json:"vector_layers"`
	Situ         legend        `json:"situ"`
}

type vectorLayer struct {
	ID          string            `json:"id"`
	Description string            `json:"description"`
	MinZoom     int               `json:"minzoom"`
	MaxZoom     int               `json:"maxzoom"`
	Fields      map[string]string `json:"fields"`
}

// legend is what a map needs to colour the set.
type legend struct {
	Set    sensor.PropertyCode `json:"set"`
	NameZH string              `json:"name_zh"`
	NameEN string              `json:"name_en"`
	Unit   string              `json:"unit"`
	Worse  string              `json:"worse"`
	Breaks []float64           `json:"breaks"`
}

func (h *Handler) serveJSON(w http.ResponseWriter, r *http.Request, p *sensor.ObservedProperty) {
	timer := h.Metrics.start()
	b := h.Bounds
	middle := b.West + width(b)/2
	doc := tileJSON{
		TileJSON: "3.0.0", Name: string(p.Code), Description: p.NameEN + " / " + p.NameZH + ", " + p.Unit, Scheme: "xyz",
		Tiles:   []string{origin(r) + "/tiles/" + url.PathEscape(string(p.Code)) + "/{z}/{x}/{y}.mvt"},
		MaxZoom: geo.PointsZoom, // finer tiles exist, and show the same points
		Bounds:  [4]float64{b.West, b.South, b.East, b.North},
		Center:  [3]float64{turned(middle), (b.South + b.North) / 2, zoomOf(b)},
		VectorLayers: []vectorLayer{
			{ID: "cells", Description: "H3 cells; a number is over the fresh latest values of the Things in the cell",
				MaxZoom: geo.PointsZoom - 1, Fields: map[string]string{
					"cell": "H3 index, 15 hexadecimal digits", "n": "Things with a value",
					"fresh": "of them not older than twice their interval", "mean": "mean, " + p.Unit, "min": "least, " + p.Unit,
					"max": "greatest, " + p.Unit, "worst": "min or max, whichever is worse, " + p.Unit, "newest": "time of the newest value, Unix seconds",
				}},
			{ID: "points", Description: "Things", MinZoom: geo.PointsZoom, MaxZoom: geo.PointsZoom, Fields: map[string]string{
				"thing": "owner/name", "result": "latest value, " + p.Unit, "newest": "its time, Unix seconds",
				"fresh": "1 = not older than twice its interval, else 0", "class": "government, social, enterprise or unknown",
			}},
		},
		Situ: legend{p.Code, p.NameZH, p.NameEN, p.Unit, p.Worse, p.Breaks},
	}
	body, _ := json.Marshal(doc) // texts and finite numbers of the catalogue: cannot fail
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
	h.Metrics.answered(http.StatusOK, timer)
}

// origin is the scheme and host the client used, which a proxy in front may have to tell: maps want whole addresses.
func origin(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host}).String()
}

func width(b geo.Box) float64 {
	if b.West > b.East {
		return b.East - b.West + 360
	}
	return b.East - b.West
}

// zoomOf is the zoom at which the box is about two tiles wide.
func zoomOf(b geo.Box) float64 {
	z := 0.0
	for w := width(b); w < 360 && z < 12; w *= 2 {
		z++
	}
	return z
}
