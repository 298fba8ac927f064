package city

import (
	"testing"
	"time"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

// plain is a ledger with the city's Things, which report in the catalogue's units.
type plain struct {
	things map[sensor.ThingID]*sensor.Thing
}

func (plain) Version() uint64 { return 1 }
func (p plain) Thing(id sensor.ThingID) (*sensor.Thing, bool) {
	t, ok := p.things[id]
	return t, ok
}
func (plain) Serial(string, string) (sensor.ThingID, bool)      { return "", false }
func (plain) DatastreamsOf(sensor.ThingID) []*sensor.Datastream { return nil }

// A day and a half of the city, as a gateway judges it: sensors that are stuck are found, whatever they measure that
// may not stand still, and of the readings of healthy ones less than one in ten thousand is doubted.
func TestTheCityIsJudgedRightly(t *testing.T) {
	divisions, err := geo.LoadDivisions()
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Things: 900, Interval: 5 * time.Minute, Seed: 7}, divisions)
	if err != nil {
		t.Fatal(err)
	}
	ledger := plain{map[sensor.ThingID]*sensor.Thing{}}
	for i := range c.Things() {
		thing := c.Things()[i].Thing
		thing.Placed = true
		ledger.things[thing.ID] = &thing
	}
	n := normalize.New(normalize.Options{Catalogue: catalogue, Ledger: func() normalize.Ledger { return ledger }})
	decoders := map[string]decode.Decoder{}
	for _, p := range all.Protocols() {
		if p.Name != "hj212" && p.Name != "json" { // the city's
			continue
		}
		if decoders[p.Name], err = p.New(decode.Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	const doubted = sensor.RateOfChange | sensor.Stuck | sensor.UnitSuspect
	healthy, wrong := 0, map[string]int{}
	found := map[int]bool{}
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var live, back sensor.Message
	for i := range c.Things() {
		thing := &c.Things()[i]
		topic := c.Topic(i)
		src := normalize.Source{Topic: topic, Protocol: thing.Protocol, Thing: thing.ID}
		for at := c.Due(i, start); at.Before(start.Add(36 * time.Hour)); at = at.Add(thing.Interval) {
			payload, ok := c.Payload(nil, i, at)
			if !ok {
				continue
			}
			readings, err := decoders[thing.Protocol].Decode(nil, payload)
			if err != nil {
				continue // a frame that was broken on purpose
			}
			live.Reset()
			live.Arrival = at.UnixMilli()
			n.Normalize(&src, readings, payload, &live, &back)
			back.Reset()
			for j := range live.Observations {
				o := &live.Observations[j]
				p, _ := catalogue.ByNumber(o.Property)
				switch {
				case thing.Fault == Stuck && o.Quality&sensor.Stuck != 0:
					found[i] = true
				case thing.Fault == Healthy:
					healthy++
					if o.Quality&doubted != 0 {
						wrong[string(p.Code)+" "+o.Quality.String()]++
					}
				}
			}
		}
	}
	total := 0
	for _, k := range wrong {
		total += k
	}
	if healthy < 100_000 || total*10_000 > healthy {
		t.Errorf("of %d readings of healthy Things %d are doubted: %v", healthy, total, wrong)
	}
	stuck := 0
	for i := range c.Things() {
		if thing := &c.Things()[i]; thing.Fault == Stuck && judged(catalogue, thing) {
			if stuck++; !found[i] {
				t.Errorf("%s %s: stuck for a day and a half, and not found", thing.ID, thing.Name)
			}
		}
	}
	if stuck == 0 {
		t.Error("the city has nothing stuck")
	}
	t.Logf("%d readings of healthy Things, %d doubted; %d are stuck", healthy, total, stuck)
}

// judged tells whether a day and a half of one value is too long for something that t measures.
func judged(c *sensor.Catalogue, t *Thing) bool {
	for _, v := range t.Values {
		if p, ok := c.ByCode(v.Property); ok && p.Still > 0 && p.Still < 30*time.Hour {
			return true
		}
	}
	return false
}
