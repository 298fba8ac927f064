package json

import (
	"testing"

	"github.com/tidwall/gjson"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/decodetest"
)

// usual is the payload of 100 bytes and two values that DESIGN section 11 measures with.
var usual = []byte(`{"t":1767225600000,"lon":106.551234,"lat":29.563010,"temperature":21.37,"relative_humidity":63.5000}`)

func BenchmarkDecode(b *testing.B) {
	rfc3339 := []byte(`{"t":"2026-01-01T08:00:00.250+08:00","lon":106.551234,"lat":29.563010,"temperature":21.37,"relative_humidity":63.5}`)
	nested := []byte(`{"t":1767225600000,"air":{"pm2_5":35.2,"pm10":60,"o3":{"1h":101,"8h":88}},"door":true,"state":"ok \u00b0"}`)
	batch := []byte("[")
	for i := range 100 {
		if i > 0 {
			batch = append(batch, ',')
		}
		batch = append(batch, usual...)
	}
	batch = append(batch, ']')
	for _, c := range []struct {
		name    string
		payload []byte
		values  int
	}{{"usual", usual, 2}, {"rfc3339", rfc3339, 2}, {"nested", nested, 6}, {"array100", batch, 200}} {
		b.Run(c.name, func(b *testing.B) {
			d, err := New(decode.Settings{})
			if err != nil {
				b.Fatal(err)
			}
			var room []decode.Reading
			b.SetBytes(int64(len(c.payload)))
			b.ReportAllocs()
			for b.Loop() {
				if room, err = d.Decode(room[:0], c.payload); err != nil || len(room) != c.values {
					b.Fatal(len(room), err)
				}
			}
			b.ReportMetric(float64(c.values)*float64(b.N)/b.Elapsed().Seconds(), "values/s")
		})
	}
}

func BenchmarkScan(b *testing.B) { decodetest.BenchScan(b, usual) }

func BenchmarkEncodingJSON(b *testing.B) { decodetest.BenchMap(b, usual) }

// BenchmarkGjson is the alternative that the package doc speaks of: validate, then walk, with the same interning,
// but without flattening, duplicates, bounds and errors with a place.
func BenchmarkGjson(b *testing.B) {
	var names decode.Interner
	var room []decode.Reading
	b.SetBytes(int64(len(usual)))
	b.ReportAllocs()
	for b.Loop() {
		room = room[:0]
		if !gjson.ValidBytes(usual) {
			b.Fatal("not valid")
		}
		var t int64
		var lon, lat float64
		gjson.ParseBytes(usual).ForEach(func(k, v gjson.Result) bool {
			switch k.Str {
			case "t":
				t = v.Int()
			case "lon":
				lon = v.Num
			case "lat":
				lat = v.Num
			default:
				name := names.String([]byte(k.Str))
				room = append(room, decode.Reading{Key: name, Property: name, Number: v.Num})
			}
			return true
		})
		for i := range room {
			room[i].Time, room[i].Position.Lon, room[i].Position.Lat, room[i].HasPosition = t, lon, lat, true
		}
		if len(room) != 2 {
			b.Fatal(room)
		}
	}
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "values/s")
}
