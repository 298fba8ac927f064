package journey

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/bus/inproc"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
	"github.com/situ-city/situ/internal/ingester"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/geo/h3"
	"github.com/situ-city/situ/pkg/sensor"
)

// stored is step 6: the ingester reads the bus and ClickHouse holds the rows; the registry stands beside them.
func (j *journey) stored() {
	j.Helper()
	conn, socket := enginetest.Start(j)
	var database string
	j.check(conn.QueryRow(j.Context(), "SELECT currentDatabase()").Scan(&database))
	s, err := store.Open(j.Context(), store.Options{Conn: conn, Database: database,
		Cell: func(lon, lat int32) geo.Cell { return h3.CellAt(geo.FromE7(lon, lat), 12) }})
	j.check(err)
	j.check(s.Migrate(j.Context()))
	j.ingest(s)
	changes, _, err := j.registry.Changes(j.Context(), 0, 1000)
	j.check(err)
	var things []sensor.Thing
	var streams []sensor.Datastream
	for _, c := range changes {
		if c.Thing != nil {
			things = append(things, *c.Thing)
		} else if c.Datastream != nil {
			streams = append(streams, *c.Datastream)
		}
	}
	j.check(s.SyncRegistry(j.Context(), things, streams))
	var properties []sensor.ObservedProperty
	for _, p := range j.catalogue.All() {
		properties = append(properties, p)
	}
	j.check(s.SyncProperties(j.Context(), properties))
	ask := func(sql, format string) string {
		return j.ask(socket, strings.ReplaceAll(sql, "~", database+".")+" SETTINGS output_format_json_escape_forward_slashes = 0 FORMAT "+format)
	}
	if rows := ask("SELECT *, result FROM ~observations ORDER BY lane, seq, idx", "TSVWithNames"); strings.Count(rows, "\n") > 1 {
		j.text("row.tsv", rows)
		j.jsonLines("history.json", ask("SELECT * FROM ~history ORDER BY lane, seq, idx", "JSONEachRow"))
	}
	if letters := ask("SELECT * EXCEPT (changed_at, log) FROM ~deadletters ORDER BY seq, idx", "JSONEachRow"); letters != "" {
		j.jsonLines("row.deadletter.json", letters)
	}
}

// ingest runs the real ingester until everything in the log is committed.
func (j *journey) ingest(s *store.Store) {
	j.Helper()
	b := j.inproc()
	g, err := b.Group("ingest")
	j.check(err)
	in, err := ingester.New(ingester.Options{Log: b, Group: g, Store: s, Linger: time.Millisecond, Declare: func(ctx context.Context, d []sensor.Declaration) error {
		_, err := j.registry.Declare(ctx, d)
		return err
	}})
	j.check(err)
	ctx, cancel := context.WithCancel(j.Context())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	apptest.Until(j, 30*time.Second, func() string { return j.behind(g) })
	cancel()
	j.check(<-ended)
}

// behind says what of the log is not committed yet.
func (j *journey) behind(g *inproc.Group) string {
	for _, lane := range j.lanes() {
		_, next := j.spools[lane].Bounds()
		at, err := g.Committed(context.Background(), int32(lane))
		if err != nil || at.Offset != int64(next) || at.Meta != "" {
			return fmt.Sprintf("lane %s stands at %+v of %d: %v", lane, at, next, err)
		}
	}
	return ""
}

// ask sends one statement to the engine.
func (j *journey) ask(socket, sql string) string {
	j.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).PostForm("http://store/?query="+url.QueryEscape(sql), nil)
	j.check(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	j.check(err)
	if res.StatusCode != http.StatusOK {
		j.Fatalf("%s\n%s", sql, b)
	}
	return string(b)
}

// jsonLines makes a section of one object a line, indented, in the order of its columns.
func (j *journey) jsonLines(name, lines string) {
	j.Helper()
	var list []json.RawMessage
	for line := range strings.Lines(lines) {
		list = append(list, json.RawMessage(line))
	}
	j.json(name, list)
}
