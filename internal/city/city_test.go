package city

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/hj212"
	"github.com/situ-city/situ/internal/decode/json"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

func invent(t testing.TB, cfg Config) *City {
	t.Helper()
	div, err := geo.LoadDivisions()
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(cfg, div)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var noon = time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)

func TestSameSeedSameCity(t *testing.T) {
	a, b := invent(t, Config{Seed: 7, Things: 300}), invent(t, Config{Seed: 7, Things: 300})
	other := invent(t, Config{Seed: 8, Things: 300})
	same := 0
	for i := range a.things {
		pa, _ := a.Payload(nil, i, noon)
		pb, _ := b.Payload(nil, i, noon)
		po, _ := other.Payload(nil, i, noon)
		if !bytes.Equal(pa, pb) || a.Topic(i) != b.Topic(i) {
			t.Fatalf("thing %d: %s and %s", i, pa, pb)
		}
		if bytes.Equal(pa, po) {
			same++
		}
	}
	if same > 30 {
		t.Errorf("%d of 300 Things say the same in a city of another seed", same)
	}
}

// Every healthy Thing's payload is read by the decoder of its protocol, at any hour.
func TestPayloadsDecode(t *testing.T) {
	c := invent(t, Config{Seed: 1, Things: 500})
	hj, err := hj212.New(decode.Settings{CRC: "strict"})
	if err != nil {
		t.Fatal(err)
	}
	js, err := json.New(decode.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	broken := 0
	for hour := range 8 {
		at := noon.Add(time.Duration(3*hour) * time.Hour)
		for i := range c.things {
			th := &c.things[i]
			p, ok := c.Payload(nil, i, at)
			if !ok {
				if th.Fault != Silent {
					t.Fatalf("%s says nothing", th.ID)
				}
				continue
			}
			var d decode.Decoder = js
			if th.Protocol == "hj212" {
				d = hj
			}
			readings, err := d.Decode(nil, p)
			if th.Fault == BadCRC {
				if err != nil || len(readings) > 0 && readings[0].Err != nil {
					broken++
				}
				continue
			}
			if want := len(th.Values); th.Fault == Repeating && len(readings) == 2*want {
				readings = readings[want:]
			}
			if err != nil || len(readings) != len(th.Values) {
				t.Fatalf("%s: %d readings of %d, err %v: %s", th.ID, len(readings), len(th.Values), err, p)
			}
			for _, r := range readings {
				if r.Err != nil {
					t.Fatalf("%s: %v: %s", th.ID, r.Err, p)
				}
			}
		}
	}
	if broken == 0 {
		t.Error("no frame was garbled")
	}
}

func TestThePlacesAreWhereTheirDivisionIs(t *testing.T) {
	c := invent(t, Config{Seed: 3, Things: 1000})
	classes, without := map[sensor.OwnerClass]int{}, 0
	div, _ := geo.LoadDivisions()
	for i := range c.things {
		th := &c.things[i]
		classes[th.Class]++
		if !th.Placed {
			without++
			continue
		}
		back := geo.ToWGS84(th.Original, th.CRS)
		if got := div.At(back); got != th.Division.District() {
			t.Errorf("%s stands in %v and says %v", th.ID, got, th.Division)
		}
	}
	if len(classes) != 3 || without == 0 || without > 50 {
		t.Errorf("classes %v, %d without place", classes, without)
	}
	want := map[string]int{"stuck": 2, "drifting": 2, "silent": 2, "mad_clock": 2, "bad_crc": 1, "odd": 1, "repeating": 1}
	if f := c.Faults(); !maps.Equal(f, want) {
		t.Errorf("faults %v, want %v", f, want)
	}
	if n := invent(t, Config{Seed: 3, Things: 100, NoFaults: true}).Faults(); len(n) != 0 {
		t.Errorf("faults %v in a city that was to have none", n)
	}
}

func TestFrontsTravel(t *testing.T) {
	c := invent(t, Config{Seed: 5, Things: 1})
	west, east := geo.LonLat{Lon: 105.6, Lat: 30.0}, geo.LonLat{Lon: 108.6, Lat: 28.8}
	var firstWest, firstEast time.Time
	for m := 0; m < 40*60 && (firstWest.IsZero() || firstEast.IsZero()); m += 5 {
		at := noon.Add(time.Duration(m) * time.Minute)
		if firstWest.IsZero() && c.air.at(west, at).rain > 0.3 {
			firstWest = at
		}
		if !firstWest.IsZero() && firstEast.IsZero() && c.air.at(east, at).rain > 0.3 {
			firstEast = at
		}
	}
	if firstWest.IsZero() || firstEast.IsZero() || !firstEast.After(firstWest) {
		t.Errorf("rain in the west at %v, in the east at %v", firstWest, firstEast)
	}
}

func BenchmarkPayload(b *testing.B) {
	c := invent(b, Config{Seed: 1, Things: 1000})
	var buf []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		buf, _ = c.Payload(buf[:0], i%1000, noon.Add(time.Duration(i)*time.Second))
	}
}
