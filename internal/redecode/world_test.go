package redecode_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"gopkg.in/yaml.v3"

	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/redecode"
	"github.com/situ-city/situ/internal/rollup"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Run(m)) }

// Version 1 takes tenths for whole, has the noise where the instrument says that it has none, does not know the temperature,
// cannot divide words, and has every third device's clock an hour ahead.
const version1 = `
sources:
  - name: acme
    topics: ["acme/{thing}"]
    owner: acme
    protocol: json
    keep: raw
    time: item.ts * 1000
    lon: item.lon
    lat: item.lat
    each: payload
    values:
      - {property: pm2_5, value: item.dust, unit: ug/m3}
      - {property: noise_leq, value: item.db, unit: "dB[SPL]"}
      - {key: '"ratio"', value: item.ratio / 10}
`

const version2 = `
sources:
  - name: acme
    topics: ["acme/{thing}"]
    owner: acme
    protocol: json
    keep: raw
    time: "item.ahead ? (item.ts - 3600) * 1000 : item.ts * 1000"
    lon: item.lon
    lat: item.lat
    each: payload
    values:
      - {property: pm2_5, value: item.dust / 10, unit: ug/m3}
      - {property: noise_leq, value: item.db, unit: "dB[SPL]", when: item.db > 0}
      - {property: temperature, value: item.temp, unit: Cel}
      - {key: '"ratio"', value: float(item.ratio) / 10, when: 'item.ratio != "n/a"'}
`

// version3 refuses what it does not like.
var version3 = strings.Replace(version2, "item.temp,", `'item.temp > 20 ? item.word / 2 : item.temp',`, 1)

func sources(t *testing.T, text string) []gateway.Source {
	t.Helper()
	var f struct {
		Sources []gateway.Source `yaml:"sources"`
	}
	must(t, yaml.Unmarshal([]byte(text), &f))
	return f.Sources
}

// nobody is a ledger in which nothing is declared yet.
type nobody struct{}

func (nobody) Version() uint64                                   { return 1 }
func (nobody) Thing(sensor.ThingID) (*sensor.Thing, bool)        { return nil, false }
func (nobody) Serial(string, string) (sensor.ThingID, bool)      { return "", false }
func (nobody) DatastreamsOf(sensor.ThingID) []*sensor.Datastream { return nil }
func cellE7(lon, lat int32) geo.Cell                             { return h3.CellAt(geo.FromE7(lon, lat), 12) }
func quiet(*redecode.Report) error                               { return nil }
func newRedecoder() *redecode.Redecoder {
	return redecode.New(redecode.Config{Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon.Add(365 * 24 * time.Hour) }})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noon is near the end of a day and of a month.
var noon = time.Date(2026, 10, 31, 22, 30, 0, 0, time.UTC)

func reread(t *testing.T, config string) *gateway.Reread {
	t.Helper()
	catalogue, err := sensor.LoadCatalogue()
	must(t, err)
	r, err := gateway.NewReread(sources(t, config), all.Protocols(), normalize.New(normalize.Options{Catalogue: catalogue, AutoRegister: true,
		Ledger: func() normalize.Ledger { return nobody{} }}))
	must(t, err)
	return r
}

// city is a store to which some payloads came.
type city struct {
	*store.Store
	conn driver.Conn
	db   string

	settled bool // nothing was stored since
}

// publishes are payloads of at most so many reports, in the order of their arrival: some are of several instants, of days ago, of an instant that was there.
func publishes(random *rand.Rand, n, most int) (list []sensor.KeptPayload, arrivals []int64) {
	for i := range n {
		arrival := noon.UnixMilli() + int64(i)*20_000
		thing := random.IntN(6)
		var items []string
		for range 1 + random.IntN(most) {
			at := noon.Unix() - 60 + int64(random.IntN(i+1))*20 // often one that was there: a correction
			if random.IntN(12) == 0 {
				at -= 3 * 86400 // backfill
			}
			item := fmt.Sprintf(`{"ts":%d,"ahead":%v,"lon":%g,"lat":29.5,"dust":%d,"db":%d,"temp":%d,"word":"warm"`, at, thing%3 == 0, 106.5+float64(thing), random.IntN(500),
				random.IntN(90)-20, random.IntN(30))
			if random.IntN(4) == 0 {
				item += `,"ratio":` + []string{`"n/a"`, "17", `"23"`}[random.IntN(3)]
			}
			items = append(items, item+"}")
		}
		payload := []byte("[" + strings.Join(items, ",") + "]")
		list = append(list, sensor.KeptPayload{Topic: fmt.Sprintf("acme/t%d", thing), Source: "acme", Protocol: "json",
			Named: sensor.ThingID(fmt.Sprintf("acme/t%d", thing)), Client: "c", Size: len(payload), Payload: payload})
		arrivals = append(arrivals, arrival)
	}
	return list, arrivals
}

// newCity receives payloads by a configuration, block after block, as gateway and ingester do.
func newCity(t *testing.T, config string, list []sensor.KeptPayload, arrivals []int64, wrap func(driver.Conn) driver.Conn) *city {
	t.Helper()
	conn, _ := enginetest.Start(t)
	c := &city{conn: conn}
	must(t, conn.QueryRow(t.Context(), "SELECT currentDatabase()").Scan(&c.db))
	if wrap != nil {
		conn = wrap(conn)
	}
	var err error
	c.Store, err = store.Open(t.Context(), store.Options{Conn: conn, Database: c.db, Cell: cellE7})
	must(t, err)
	must(t, c.Migrate(t.Context()))
	must(t, c.conn.Exec(t.Context(), "ALTER TABLE "+c.db+".payload_rows REMOVE TTL")) // these are of a fixed day
	c.declare(t, list, arrivals)
	decoder := reread(t, config)
	seqs := [2]uint64{}
	b := &store.Block{Log: "00112233445566778899aabbccddeeff", Batch: new(sensor.Batch), Before: map[sensor.Producer]uint64{}}
	for i := range list {
		messages := received(decoder, list[i], arrivals[i])
		for _, m := range messages {
			lane := sensor.Live
			if m.Kept.Part == sensor.BackfillPart || m.Empty == "back" {
				lane = sensor.Backfill
			}
			if m.Empty == "back" {
				m.Empty = ""
			}
			seqs[lane]++
			b.Batch.Add(sensor.Producer{Gateway: "gw", Epoch: 1, Lane: lane}, seqs[lane], m)
		}
		if i%40 == 39 || i == len(list)-1 {
			for j := range b.Batch.Len() {
				b.Repeats = append(b.Repeats, store.Pair{Datastream: b.Batch.Datastream[j], PhenomenonTime: b.Batch.PhenomenonTime[j]})
			}
			b.To, b.Watermarks = b.From+int64(b.Batch.Messages), b.Batch.Watermarks
			ctx := t.Context()
			must(t, errors.Join(c.InsertRepeats(ctx, b), c.InsertRows(ctx, b, false), c.InsertBeside(ctx, b), c.InsertBeside(ctx, b), c.InsertBlock(ctx, b)))
			next := &store.Block{Log: b.Log, From: b.To, Batch: &sensor.Batch{Watermarks: b.Batch.Watermarks}}
			b = next
		}
	}
	return c
}

// declare registers whatever any version declares.
func (c *city) declare(t *testing.T, list []sensor.KeptPayload, arrivals []int64) {
	t.Helper()
	var things []sensor.Thing
	var streams []sensor.Datastream
	for _, config := range []string{version1, version2, version3} {
		r := reread(t, config)
		for i := range list {
			for _, d := range r.Read(&sensor.LoggedPayload{Arrival: arrivals[i], KeptPayload: list[i]}).Declarations {
				if d.Thing != nil {
					d.Thing.Version = 1
					things = append(things, *d.Thing)
				}
				if d.Datastream != nil {
					d.Datastream.Version = 1
					streams = append(streams, *d.Datastream)
				}
			}
		}
	}
	catalogue, err := sensor.LoadCatalogue()
	must(t, err)
	must(t, c.SyncProperties(t.Context(), catalogue.All()))
	must(t, c.SyncRegistry(t.Context(), things, streams))
}

// received is what the gateway makes of a PUBLISH: one message, or one in each lane. One of backfill alone says so in Empty.
func received(decoder *gateway.Reread, k sensor.KeptPayload, arrival int64) (messages []*sensor.Message) {
	read := decoder.Read(&sensor.LoggedPayload{Producer: sensor.Producer{Gateway: "gw", Epoch: 1}, Arrival: arrival, KeptPayload: k})
	var live, back sensor.Message
	live.Arrival, back.Arrival = arrival, arrival
	for _, o := range read.Observations {
		if o.Quality&sensor.Late != 0 {
			back.Observations = append(back.Observations, o)
		} else {
			live.Observations = append(live.Observations, o)
		}
	}
	live.DeadLetters = read.Refused
	for i := range live.DeadLetters {
		live.DeadLetters[i].Size, live.DeadLetters[i].Payload = k.Size, k.Payload
	}
	hasLive := len(live.Observations)+len(live.DeadLetters) > 0
	part := func(m *sensor.Message, p sensor.Part) {
		kept := k
		kept.Part = p
		m.Kept = &kept
		messages = append(messages, m)
	}
	switch {
	case hasLive && len(back.Observations) > 0:
		part(&live, sensor.LivePart)
		part(&back, sensor.BackfillPart)
	case len(back.Observations) > 0:
		back.Empty = "back"
		part(&back, sensor.Whole)
	default:
		if !hasLive {
			live.Empty = sensor.ReasonNoValues
		}
		part(&live, sensor.Whole)
	}
	return messages
}

// settle has the roll-ups follow, and compares them with a recompute.
func (c *city) settle(t *testing.T) {
	t.Helper()
	if c.settled {
		return
	}
	c.settled = true
	w, err := rollup.New(rollup.Options{Store: blind{c.Store}, Now: func() time.Time { return noon.Add(3 * time.Hour) }})
	must(t, err)
	must(t, w.Settle(t.Context()))
	check, err := c.CheckRollups(t.Context())
	must(t, err)
	for i, d := range check.Differences {
		if i < 5 {
			t.Error(d)
		}
	}
	if len(check.Differences) > 0 || check.Waiting > 0 || check.Alike == 0 {
		t.Fatalf("roll-ups: %d differences, %d waiting, %d alike", len(check.Differences), check.Waiting, check.Alike)
	}
}

// blind does not look for silence by the clock: days of it are judged at length, and are not the matter here.
type blind struct{ *store.Store }

func (blind) MarkHours(context.Context, int64) error { return nil }

// rows gives a query's rows as text.
func (c *city) rows(t *testing.T, query string) (list []string) {
	t.Helper()
	r, err := c.conn.Query(t.Context(), "SELECT toString(tuple(*)) FROM ("+strings.ReplaceAll(query, "~", c.db+".")+") AS q ORDER BY 1")
	must(t, err)
	defer r.Close()
	for r.Next() {
		var s string
		must(t, r.Scan(&s))
		list = append(list, s)
	}
	must(t, r.Err())
	return list
}

// views are what people see.
var views = []string{
	"SELECT * EXCEPT (revision, registry, lane, seq, idx, judgement) FROM ~history",
	"SELECT * FROM ~latest",
	"SELECT * FROM ~cells_5m", "SELECT * FROM ~cells_1h", "SELECT * FROM ~cells_1d",
	"SELECT * FROM ~datastream_1h",
}

// like compares what two cities show.
func (c *city) like(t *testing.T, want *city) {
	t.Helper()
	c.settle(t)
	want.settle(t)
	for _, view := range views {
		got, want := c.rows(t, view), want.rows(t, view)
		if len(want) == 0 && !strings.Contains(view, "cells") {
			t.Fatalf("%s: nothing to compare", view)
		}
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("%s: %d rows, want %d; row %d is\n%v, want\n%v", view, len(got), len(want), i, at(got, i), at(want, i))
			}
		}
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "none"
}

// even: the balance finds nothing missing and nothing doubled, once what was taken counts as settled.
func (c *city) even(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		young := c.rows(t, "SELECT 1 FROM ~taken WHERE abs(dateDiff('millisecond', written_at, now64(3))) < 5000")
		if len(young) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("blocks do not settle")
		}
		<-time.After(100 * time.Millisecond)
	}
	rows := c.rows(t, "SELECT * FROM ~balance WHERE missing + rows_missing + rows_doubled + letters_missing + unjudged > 0")
	if len(rows) > 0 {
		t.Errorf("the balance is not even: %v", rows)
	}
	if n := c.rows(t, "SELECT sum(messages), sum(observations) FROM ~balance"); n[0] == "(0,0)" {
		t.Error("the balance is empty")
	}
}

func (c *city) run(t *testing.T, config string, o redecode.Options) *redecode.Report {
	t.Helper()
	c.settled = false
	report, err := newRedecoder().Run(t.Context(), c.Store, reread(t, config), o, quiet)
	must(t, err)
	return report
}

// mortal is a connection that dies at its n-th insert, before or after it.
type mortal struct {
	driver.Conn
	left  int
	after bool
}

var errDead = errors.New("killed")

func (m *mortal) PrepareBatch(ctx context.Context, query string, opts ...driver.PrepareBatchOption) (driver.Batch, error) {
	b, err := m.Conn.PrepareBatch(ctx, query, opts...)
	return &mortalBatch{b, m}, err
}

type mortalBatch struct {
	driver.Batch
	m *mortal
}

func (b *mortalBatch) Send() error {
	if b.m.left--; b.m.left < 0 || b.m.left == 0 && !b.m.after {
		_ = b.Batch.Abort()
		return errDead
	}
	if err := b.Batch.Send(); err != nil {
		return err
	}
	if b.m.left == 0 {
		return errDead
	}
	return nil
}
