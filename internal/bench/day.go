package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/city"
	"github.com/situ-city/situ/internal/embedded/engine"
	"github.com/situ-city/situ/internal/progress"
	"github.com/situ-city/situ/internal/publisher"
	"github.com/situ-city/situ/pkg/geo"
)

// Day sends the last 24 hours of the simulated city through `situ run` as fast as they are taken and prints what an
// observation takes on disk, column by column, data and identity apart. The arrival times are those of the run, not of
// a day: a thousandth of a day apart they compress a little better than in life.
type Day struct {
	Journey
	Seed     uint64
	Interval time.Duration
}

// identityColumns tell which message a row came from and when it arrived; the others are the data.
var identityColumns = map[string]bool{"gateway": true, "epoch": true, "lane": true, "seq": true, "idx": true, "arrival_time": true}

// Run measures and prints.
func (d *Day) Run(ctx context.Context) error {
	div, err := geo.LoadDivisions()
	if err != nil {
		return err
	}
	town, err := city.New(city.Config{Seed: d.Seed, Things: d.Things, Interval: d.Interval}, div)
	if err != nil {
		return err
	}
	return d.Journey.with(ctx, func(ctx context.Context) error {
		var b strings.Builder
		if err := town.CSV(&b); err != nil {
			return err
		}
		res, err := d.do(ctx, "POST", "/v1/register", strings.NewReader(b.String()))
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		messages, err := d.send(ctx, town)
		if err != nil {
			return err
		}
		fmt.Fprintf(d.Out, "messages of the simulated day       %8d\n", messages)
		return d.columns(ctx)
	})
}

// send publishes the day in order of time.
func (d *Day) send(ctx context.Context, town *city.City) (messages uint64, err error) {
	pub, err := publisher.Dial(ctx, publisher.Config{Broker: "tcp://" + d.mqtt, Client: "situ-bench-day", Connections: 2,
		InFlight: 2000, Logger: slog.New(slog.NewTextHandler(d.Progress, nil))})
	if err != nil {
		return 0, err
	}
	bar := progress.New(d.Progress, "day")
	to := time.Now().Truncate(time.Minute)
	from := to.Add(-24 * time.Hour)
	err = town.Replay(ctx, pub, from, to, func(at time.Time) {
		bar.Set(float64(at.Sub(from))/float64(to.Sub(from)), at.UTC().Format(time.TimeOnly))
	})
	if err != nil {
		return 0, err
	}
	if err := pub.Close(ctx); err != nil {
		return 0, err
	}
	_, acked := pub.Counts()
	bar.Done("")
	return acked, nil
}

// columns waits until everything is in the table, merges it, and asks for the size of each column.
func (d *Day) columns(ctx context.Context) error {
	conn, err := engine.Open(filepath.Join(d.Data, "store.sock"), "situ")
	if err != nil {
		return err
	}
	defer conn.Close()
	for {
		lag, err := d.metric(ctx, `situ_ingester_lag_messages{partition="0"}`)
		if err == nil && lag == 0 {
			break
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	if err := conn.Exec(ctx, "OPTIMIZE TABLE situ.observations FINAL"); err != nil {
		return err
	}
	var rows uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM situ.observations").Scan(&rows); err != nil {
		return err
	}
	found, err := conn.Query(ctx, `SELECT column, sum(column_data_compressed_bytes + column_marks_bytes) AS b FROM system.parts_columns
		WHERE active AND database = 'situ' AND table = 'observations' GROUP BY column ORDER BY b DESC`)
	if err != nil {
		return err
	}
	defer found.Close()
	return printColumns(d.Out, rows, func() (column string, bytes uint64, ok bool) {
		if !found.Next() {
			return "", 0, false
		}
		err = found.Scan(&column, &bytes)
		return column, bytes, err == nil
	})
}

func printColumns(out io.Writer, rows uint64, next func() (string, uint64, bool)) error {
	if rows == 0 {
		return fmt.Errorf("no rows arrived")
	}
	var data, identity uint64
	fmt.Fprintf(out, "observations                        %8d\n", rows)
	for {
		column, bytes, ok := next()
		if !ok {
			break
		}
		kind := "data"
		if identityColumns[column] {
			kind = "identity"
			identity += bytes
		} else {
			data += bytes
		}
		fmt.Fprintf(out, "  %-18s %-9s %8.4f bytes\n", column, kind, float64(bytes)/float64(rows))
	}
	n := float64(rows)
	fmt.Fprintf(out, "data columns                        %8.3f bytes an observation\n", float64(data)/n)
	fmt.Fprintf(out, "identity and arrival                %8.3f bytes an observation\n", float64(identity)/n)
	fmt.Fprintf(out, "all columns                         %8.3f bytes an observation\n", float64(data+identity)/n)
	return nil
}
