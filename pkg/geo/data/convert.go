//go:build ignore

// Convert makes districts.geojson.gz and divisions.csv.gz from the two files that ATTRIBUTION.md names:
//
//	go run convert.go DIR_WITH_chongqing-districts.geojson_AND_chongqing-divisions.csv
//
// It keeps code and name (today's, the former beside them where they changed), the label point as centre, and the
// rings as they are. A label point outside its outline stops it.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"slices"
)

type ring [][2]float64

type feature struct {
	Type       string         `json:"type"`
	Properties map[string]any `json:"properties"`
	Geometry   struct {
		Type        string          `json:"type"`
		Coordinates json.RawMessage `json:"coordinates"`
	} `json:"geometry"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run convert.go DIR")
	}
	dir := os.Args[1]
	outlines, err := os.ReadFile(filepath.Join(dir, "chongqing-districts.geojson"))
	check(err)
	var in struct {
		Features []feature `json:"features"`
	}
	check(json.Unmarshal(outlines, &in))
	for i := range in.Features {
		convert(&in.Features[i])
	}
	slices.SortFunc(in.Features, func(a, b feature) int {
		return bytes.Compare([]byte(a.Properties["code"].(string)), []byte(b.Properties["code"].(string)))
	})
	out, err := json.Marshal(map[string]any{"type": "FeatureCollection", "features": in.Features})
	check(err)
	write("districts.geojson.gz", out)
	names, err := os.ReadFile(filepath.Join(dir, "chongqing-divisions.csv"))
	check(err)
	write("divisions.csv.gz", names)
}

func convert(f *feature) {
	p := f.Properties
	out := map[string]any{"code": p["code"], "name": p["name"]}
	if now, ok := p["code_now"]; ok {
		out["code"], out["name"] = now, p["name_now"]
		out["former_code"], out["former_name"] = p["code"], p["name"]
	}
	var polygons [][]ring
	if f.Geometry.Type == "Polygon" {
		polygons = make([][]ring, 1)
		check(json.Unmarshal(f.Geometry.Coordinates, &polygons[0]))
	} else {
		check(json.Unmarshal(f.Geometry.Coordinates, &polygons))
	}
	cp := p["cp"].([]any)
	center := [2]float64{cp[0].(float64), cp[1].(float64)}
	if !inside(crossings(polygons, center[1]), center[0]) {
		log.Fatalf("%s: label point %v lies outside the outline: choose another", out["name"], center)
	}
	out["center"] = center
	f.Properties = out
}

func crossings(polygons [][]ring, y float64) (xs []float64) {
	for _, rings := range polygons {
		for _, r := range rings {
			for i := range r {
				a, b := r[i], r[(i+1)%len(r)]
				if (a[1] > y) != (b[1] > y) {
					xs = append(xs, a[0]+(y-a[1])/(b[1]-a[1])*(b[0]-a[0]))
				}
			}
		}
	}
	slices.Sort(xs)
	return xs
}

func inside(xs []float64, x float64) bool {
	n, _ := slices.BinarySearch(xs, x)
	return n%2 == 1
}

func write(name string, b []byte) {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	check(err)
	_, err = w.Write(b)
	check(err)
	check(w.Close())
	check(os.WriteFile(name, z.Bytes(), 0o644))
	log.Printf("%s: %d bytes from %d", name, z.Len(), len(b))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
