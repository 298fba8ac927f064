package journey

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// open makes the ledger and the spools, and registers what things.csv says.
func (j *journey) open() {
	j.Helper()
	dir := j.TempDir()
	var err error
	j.catalogue, err = sensor.LoadCatalogue()
	j.check(err)
	j.divisions, err = geo.LoadDivisions()
	j.check(err)
	j.registry, err = registry.Open(j.Context(), filepath.Join(dir, "registry.sqlite"), registry.Options{Catalogue: j.catalogue, Divisions: j.divisions,
		Clock: func() time.Time { return arrival }, CellAt: func(p geo.LonLat) geo.Cell { return h3.CellAt(p, 12) }})
	j.check(err)
	j.Cleanup(func() { j.check(j.registry.Close()) })
	if csv := j.given["things.csv"]; csv != "" {
		rows, err := registry.ParseCSV(strings.NewReader(csv))
		j.check(err)
		verdicts, err := j.registry.RegisterRows(j.Context(), rows)
		j.check(err)
		for _, v := range verdicts {
			if v.Error != "" {
				j.Fatalf("things.csv, row %d: %s", v.Row, v.Error)
			}
		}
	}
	j.spools = map[sensor.Lane]*spool.Spool{}
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		s, err := spool.Open(spool.Config{Dir: filepath.Join(dir, lane.String()), Gateway: "gw-1", Lane: lane,
			Clock: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }})
		j.check(err)
		j.spools[lane] = s
		j.Cleanup(func() { j.check(s.Close()) })
	}
}

func (j *journey) normalizer() *normalize.Normalizer {
	return normalize.New(normalize.Options{Catalogue: j.catalogue, Divisions: j.divisions, AutoRegister: strings.Contains(j.given["situ.yaml"], "auto-register: true"),
		Ledger: func() normalize.Ledger { return j.registry.Snapshot() }})
}

// front is steps 1 to 4: decoded, normalised, and then the same once more by a real gateway, whose spool must hold the
// very bytes.
func (j *journey) front() {
	j.Helper()
	topic, payload := j.given["topic"], []byte(j.given["payload"])
	level := strings.Split(topic, "/") // situ/v1/{owner}/{thing}/{protocol}
	source := normalize.Source{Topic: topic, Protocol: level[4], Origin: sensor.Origin{Client: "box-7"}, Thing: sensor.ThingID(level[2] + "/" + level[3])}
	var readings []decode.Reading
	var failed error
	for _, p := range all.Protocols() {
		if p.Name == source.Protocol {
			d, err := p.New(decode.Settings{})
			j.check(err)
			readings, failed = d.Decode(nil, payload)
		}
	}
	j.json("reading.json", readingDocs(readings, failed))

	live, back := &sensor.Message{Arrival: arrival.UnixMilli()}, &sensor.Message{}
	if failed == nil {
		j.normalizer().Normalize(&source, readings, payload, live, back)
	}
	spooled := j.publish(topic, payload)
	var records bytes.Buffer
	for lane, made := range map[sensor.Lane]*sensor.Message{sensor.Live: live, sensor.Backfill: back} {
		body := spooled[lane]
		if body == nil {
			continue
		}
		j.messages[lane] = new(sensor.Message)
		j.check(sensor.DecodeMessage(j.messages[lane], body))
		if again := sensor.AppendMessage(nil, made); failed == nil && !bytes.Equal(again, body) {
			j.Errorf("the gateway spooled in lane %s\n%s, decode and normalize alone make\n%s", lane, hex.Dump(body), hex.Dump(again))
		}
	}
	var docs []messageDoc
	for _, lane := range j.lanes() {
		docs = append(docs, messageDocOf(lane, j.messages[lane]))
		fmt.Fprintf(&records, "lane %s, seq 1, %d bytes\n%s", lane, len(spooled[lane]), hex.Dump(spooled[lane]))
	}
	j.json("observation.json", docs)
	j.text("record.hex", records.String())
}

// publish sends the payload over MQTT to a real gateway and gives what stands in its spools after the PUBACK.
func (j *journey) publish(topic string, payload []byte) map[sensor.Lane][]byte {
	j.Helper()
	g, err := gateway.New(gateway.Config{Listen: "127.0.0.1:0", Anonymous: true, Credentials: j.registry, Protocols: all.Protocols(),
		Normalizer: j.normalizer, Spools: j.spools, Clock: func() time.Time { return arrival },
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	j.check(err)
	ctx, cancel := context.WithCancel(j.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	c, err := apptest.Dial(g.Addr().String(), "box-7", "", "")
	j.check(err)
	apptest.Ack(j, c, topic, string(payload))
	c.Disconnect(0)
	cancel()
	j.check(<-ended)
	out := map[sensor.Lane][]byte{}
	for lane, s := range j.spools {
		if _, next := s.Bounds(); next == 1 {
			continue
		}
		r, err := s.NewReader(1)
		j.check(err)
		_, body, err := r.Next()
		j.check(err)
		out[lane] = bytes.Clone(body)
		j.check(r.Close())
	}
	return out
}
