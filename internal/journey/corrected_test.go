package journey

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/bus/inproc"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/ingester"
	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/internal/rollup"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// stations stand within a kilometre of each other.
const stations = `id,title,class,grade,lon,lat,crs,interval,properties
eco/a,A,government,open,106.550,29.560,WGS84,60,temperature
eco/b,B,government,open,106.551,29.561,WGS84,60,temperature
eco/c,C,government,open,106.552,29.562,WGS84,60,temperature
eco/d,D,government,open,106.553,29.563,WGS84,60,temperature
eco/e,E,government,open,106.554,29.564,WGS84,60,temperature
`

// corrected is a way from MQTT to the faces on which several messages travel, one after the other.
type corrected struct {
	*journey
	bus    *inproc.Bus
	group  *inproc.Group
	live   *livestate.State
	store  *store.Store
	worker *rollup.Worker
	socket string
	db     string
	next   int64
}

// A series that is sent again over MQTT with a later resultTime replaces the one that is there, on every face: history,
// latest, roll-ups of windows long closed, live state; and the judgement that it gave rise to is gone. One that is older
// than what stands loses, although it arrives last.
func TestCorrectedSeries(t *testing.T) {
	c := &corrected{journey: &journey{T: t, given: map[string]string{"things.csv": stations}, messages: map[sensor.Lane]*sensor.Message{}}}
	c.begin()
	for i, station := range []string{"a", "b", "c", "d"} {
		c.publish("situ/v1/eco/"+station+"/json", c.plain(20+float64(i)/10))
	}
	c.publish("situ/v1/eco/e/sensorthings", c.series(35, 5*time.Second))
	c.faces("as it was measured", 35, "neighbour eco/e 35")
	c.publish("situ/v1/eco/e/sensorthings", c.series(20.5, 30*time.Minute))
	c.faces("corrected, its windows long closed", 20.5, "60 correction eco/e 20.5")
	c.publish("situ/v1/eco/e/sensorthings", c.series(99, 10*time.Minute))
	c.faces("an older correction, late", 20.5, "60 correction eco/e 20.5")
	c.publish("situ/v1/eco/e/sensorthings", c.series(21, 40*time.Minute))
	c.publish("situ/v1/eco/e/sensorthings", c.series(21, 40*time.Minute))
	c.faces("corrected again, and repeated", 21, "60 correction eco/e 21")
	c.publish("situ/v1/eco/a/json", c.plain(23)) // plain JSON has no resultTime: the later arrival stands, and they contradict
	if got := c.sql("SELECT judgement, count(), any(result) FROM judgements AS j INNER JOIN history AS h ON h.datastream = j.datastream AND h.phenomenon_time = j.phenomenon_time " +
		"WHERE j.thing = 'eco/a' GROUP BY judgement"); got != "contradiction\t60\t23" {
		t.Errorf("sent again without a resultTime: %q", got)
	}
}

func (c *corrected) begin() {
	c.Helper()
	c.open()
	c.messages[sensor.Live] = new(sensor.Message) // the lane that is used
	conn, socket := enginetest.Start(c)
	c.socket, c.next = socket, 1
	c.check(conn.QueryRow(c.Context(), "SELECT currentDatabase()").Scan(&c.db))
	var err error
	c.store, err = store.Open(c.Context(), store.Options{Conn: conn, Database: c.db, Cell: func(lon, lat int32) geo.Cell { return h3.CellAt(geo.FromE7(lon, lat), 12) }})
	c.check(err)
	c.check(c.store.Migrate(c.Context()))
	c.check(c.store.SyncProperties(c.Context(), c.catalogue.All()))
	c.bus = c.inproc()
	c.group, err = c.bus.Group("ingest")
	c.check(err)
	c.live = livestate.New(query.Meta{Registry: c.registry, Catalogue: c.catalogue}, c.catalogue, arrival)
	c.worker, err = rollup.New(rollup.Options{Store: c.store, Now: func() time.Time { return arrival.Add(2 * time.Hour) }})
	c.check(err)
	c.settle()
}

// begun is when the series began: its hour was over when it arrived.
var begun = time.Date(2026, 2, 28, 22, 0, 0, 0, time.UTC)

// series is an hour of one result a minute as SensorThings Observations, produced so long after begun's hour.
func (c *corrected) series(result float64, later time.Duration) string {
	type named struct {
		Name string `json:"name"`
	}
	type datastream struct {
		ID       int   `json:"@iot.id"`
		Property named `json:"ObservedProperty"`
	}
	type observation struct {
		Phenomenon time.Time  `json:"phenomenonTime"`
		Result     time.Time  `json:"resultTime"`
		Value      float64    `json:"result"`
		Datastream datastream `json:"Datastream"`
	}
	var list []observation
	for m := range 60 {
		list = append(list, observation{begun.Add(time.Duration(m) * time.Minute), begun.Add(time.Hour + later), result, datastream{7, named{"temperature"}}})
	}
	b, err := json.Marshal(list)
	c.check(err)
	return string(b)
}

func (c *corrected) plain(result float64) string {
	var b strings.Builder
	for m := range 60 {
		fmt.Fprintf(&b, `,{"t":%d,"temperature":%g}`, begun.Add(time.Duration(m)*time.Minute).UnixMilli(), result)
	}
	return "[" + b.String()[1:] + "]"
}

// publish sends over MQTT and waits for the acknowledgement, then lets everything behind take its step.
func (c *corrected) publish(topic, payload string) {
	c.Helper()
	g, err := gateway.New(gateway.Config{Listen: "127.0.0.1:0", Anonymous: true, Credentials: c.registry, Protocols: all.Protocols(),
		Normalizer: c.normalizer, Spools: c.spools, Clock: func() time.Time { return arrival },
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	c.check(err)
	ctx, cancel := context.WithCancel(c.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	mqtt, err := apptest.Dial(g.Addr().String(), "box", "", "")
	c.check(err)
	apptest.Ack(c, mqtt, topic, payload)
	mqtt.Disconnect(0)
	cancel()
	c.check(<-ended)
	c.step()
}

// step is the bus, the live state, the ingester and the roll-up worker, until all have seen what there is.
func (c *corrected) step() {
	c.Helper()
	for _, end := c.spools[sensor.Live].Bounds(); c.next < int64(end); {
		b := new(sensor.Batch)
		next, err := c.bus.Fetch(c.Context(), int32(sensor.Live), c.next, 0, 0, b)
		c.check(err)
		c.next = next
		_, err = c.registry.Declare(c.Context(), b.Declarations)
		c.check(err)
		c.live.Apply(b, arrival)
	}
	in, err := ingester.New(ingester.Options{Log: c.bus, Group: c.group, Store: c.store, Linger: time.Millisecond,
		Declare: func(context.Context, []sensor.Declaration) error { return nil }})
	c.check(err)
	ctx, cancel := context.WithCancel(c.Context())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	apptest.Until(c, time.Minute, func() string { return c.behind(c.group) })
	cancel()
	c.check(<-ended)
	c.settle()
}

// settle brings the registry to the store and lets the roll-up worker end.
func (c *corrected) settle() {
	c.Helper()
	var things []sensor.Thing
	var streams []sensor.Datastream
	for thing := range c.registry.Snapshot().ThingsFrom(0) {
		things = append(things, *thing)
	}
	for d := range c.registry.Snapshot().DatastreamsFrom(0) {
		streams = append(streams, *d)
	}
	c.check(c.store.SyncRegistry(c.Context(), things, streams))
	c.check(c.worker.Settle(c.Context()))
}

func (c *corrected) sql(query string) string {
	c.Helper()
	for _, view := range []string{"history", "latest", "cells_5m", "cells_1d", "datastream_1h", "judgements"} {
		query = strings.ReplaceAll(query, " "+view+" ", " "+c.db+"."+view+" ")
	}
	return strings.TrimSpace(c.ask(c.socket, query))
}

// faces compares what every face shows of the station.
func (c *corrected) faces(when string, want float64, judged string) {
	c.Helper()
	for _, f := range []struct{ face, query, want string }{
		{"history", "SELECT count(), min(result), max(result) FROM history WHERE thing = 'eco/e'", fmt.Sprintf("60\t%g\t%[1]g", want)},
		{"latest", "SELECT count(), any(result) FROM latest WHERE thing = 'eco/e'", fmt.Sprintf("1\t%g", want)},
		{"hour", "SELECT sum(n), round(any(mean), 6) FROM datastream_1h WHERE thing = 'eco/e'", fmt.Sprintf("60\t%g", want)},
		{"5 minutes", "SELECT sum(n), max(max) FROM cells_5m WHERE property = 'temperature'", fmt.Sprintf("300\t%g", max(want, 20.3))},
		{"day", "SELECT sum(n), max(max) FROM cells_1d WHERE property = 'temperature'", fmt.Sprintf("300\t%g", max(want, 20.3))},
		{"judgements", "SELECT concat(if(count() = 1, '', concat(toString(count()), ' ')), judgement, ' ', thing, ' ', toString(any(value))) FROM judgements WHERE judgement NOT IN ('repeat', 'missing') GROUP BY judgement, thing", judged},
	} {
		if got := c.sql(f.query); got != f.want {
			c.Errorf("%s, %s: %q, want %q", when, f.face, got, f.want)
		}
	}
	for _, d := range c.registry.Snapshot().DatastreamsOf("eco/e") {
		if l, ok := c.live.Latest(d.ID); ok && l.Result == want {
			return
		}
	}
	c.Errorf("%s: the live state does not show %g", when, want)
}
