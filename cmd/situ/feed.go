package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/city"
	"github.com/situ-city/situ/internal/progress"
	"github.com/situ-city/situ/internal/publisher"
	"github.com/situ-city/situ/internal/replay"
	"github.com/situ-city/situ/pkg/geo"
)

// broker is where readings are published.
type broker struct {
	Broker      string `help:"MQTT broker." default:"tcp://127.0.0.1:1883" env:"SITU_BROKER"`
	User        string `help:"MQTT user name." env:"SITU_MQTT_USER"`
	Password    string `help:"MQTT password." env:"SITU_MQTT_PASSWORD"`
	Connections int    `help:"MQTT connections." default:"4"`
}

func (b broker) dial(ctx context.Context, client string, logger *slog.Logger) (*publisher.Publisher, error) {
	return publisher.Dial(ctx, publisher.Config{Broker: b.Broker, User: b.User, Password: b.Password,
		Client: client, Connections: b.Connections, Logger: logger})
}

type simCmd struct {
	broker
	server
	app.Logging
	Things   int           `help:"Number of Things." default:"2000"`
	Seed     uint64        `help:"The same seed makes the same city." default:"2026"`
	Interval time.Duration `help:"Shortest interval between two messages of a Thing." default:"30s"`
	NoFaults bool          `help:"No stuck, drifting, silent, mad-clocked or garbled Things."`
	Register bool          `help:"Register the Things first (needs --key)." default:"true" negatable:""`
	CSV      bool          `name:"csv" help:"Print the city's register and end."`
}

func (simCmd) Help() string {
	return `The city is invented: town centres lie at seeded random places inside their district.

Examples:
  situ sim --key situ_admin_...
  situ sim --things 20000 --interval 1m --seed 7
  situ sim --csv > city.csv`
}

func (c simCmd) Run(ctx context.Context) error {
	logger := c.Logger(os.Stderr)
	div, err := geo.LoadDivisions()
	if err != nil {
		return err
	}
	town, err := city.New(city.Config{Seed: c.Seed, Things: c.Things, Interval: c.Interval, NoFaults: c.NoFaults}, div)
	if err != nil {
		return err
	}
	if c.CSV {
		return town.CSV(os.Stdout)
	}
	if c.server.Key == "" {
		c.Register = false
		logger.Warn("no --key: the Things are not registered; situ run needs --auto-register to take their readings")
	}
	if c.Register {
		var b bytes.Buffer
		if err := town.CSV(&b); err != nil {
			return err
		}
		if err := c.registerAll(ctx, &b); err != nil {
			return fmt.Errorf("register the city: %w", err)
		}
	}
	logger.Info("city", "things", c.Things, "seed", c.Seed, "faults", fmt.Sprint(town.Faults()))
	pub, err := c.dial(ctx, fmt.Sprintf("situ-sim-%d", c.Seed), logger)
	if err != nil {
		return err
	}
	err = town.Play(ctx, pub, logger)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = pub.Close(grace)
	sent, acked := pub.Counts()
	logger.Info("city stopped", "sent", sent, "acknowledged", acked)
	return err
}

type replayCmd struct {
	broker
	server
	File     string            `arg:"" help:"CSV or CSV.gz file with a header." type:"existingfile"`
	Time     string            `help:"Column of the time." default:"time"`
	ID       string            `name:"id" help:"Column of the Thing's name." default:"id"`
	Lon      string            `help:"Column of the longitude."`
	Lat      string            `help:"Column of the latitude."`
	Value    map[string]string `help:"Columns and the properties they hold: --value speed_mph=traffic_speed." required:""`
	Unit     map[string]string `help:"UCUM units by property, registered with the Things: --unit traffic_speed=[mi_i]/h."`
	Places   string            `help:"CSV file of places: the id column, lon and lat." type:"existingfile"`
	Owner    string            `help:"Owner of the Things." default:"replay"`
	Class    string            `help:"Owner class, for registering." default:"government"`
	Grade    string            `help:"Access grade, for registering." default:"open"`
	CRS      string            `name:"crs" help:"Datum of positions." default:"WGS84"`
	Zone     string            `help:"Zone of times without one: IANA name or +08:00." default:"UTC"`
	Layout   string            `help:"Go layout of times, unix or unixms; default RFC 3339 or 2006-01-02 15:04:05."`
	Speed    float64           `help:"1 = life, 60 = an hour a minute, 0 = as fast as it is taken." default:"0"`
	Interval time.Duration     `help:"Expected interval of the Datastreams, for registering." default:"5m"`
}

func (replayCmd) Help() string {
	return `One row becomes one message of plain JSON on situ/v1/{owner}/{id}/json. With --key, the Things are registered
first (place, unit, interval); without, situ run needs --auto-register.

Example, a week of loop detectors:
  situ replay loops.csv.gz --time time_local --id sensor_id --zone=-08:00 \
      --value speed_mph=traffic_speed --unit 'traffic_speed=[mi_i]/h' --places stations.csv --owner la`
}

func (c replayCmd) Run(ctx context.Context) error {
	zone, err := parseZone(c.Zone)
	if err != nil {
		return err
	}
	if c.server.Key != "" {
		if err := c.register(ctx); err != nil {
			return err
		}
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	pub, err := c.dial(ctx, "situ-replay", logger)
	if err != nil {
		return err
	}
	bar := progress.New(os.Stderr, "replay")
	started := time.Now()
	result, err := replay.Run(ctx, replay.Config{File: c.File, Time: c.Time, ID: c.ID, Lon: c.Lon, Lat: c.Lat,
		Values: c.Value, Layout: c.Layout, Zone: zone, Owner: c.Owner, Speed: c.Speed}, pub,
		func(share float64, r *replay.Result) {
			bar.Set(share, fmt.Sprintf("%d rows, %.0f/s", r.Rows, float64(r.Rows)/time.Since(started).Seconds()))
		})
	if err != nil {
		return err
	}
	grace, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := pub.Close(grace); err != nil {
		return fmt.Errorf("wait for acknowledgements: %w", err)
	}
	sent, acked := pub.Counts()
	bar.Done(fmt.Sprintf("%d rows, %d sent, %d acknowledged", result.Rows, sent, acked))
	if len(result.Bad) > 0 {
		fmt.Fprintf(os.Stderr, "rows refused: %v; the first: %s\n", result.Bad, result.FirstBad)
	}
	if sent != acked {
		return fmt.Errorf("%d messages were not acknowledged", sent-acked)
	}
	return nil
}

// register makes a CSV register of the ids in the places file and sends it.
func (c replayCmd) register(ctx context.Context) error {
	var b bytes.Buffer
	out := csv.NewWriter(&b)
	_ = out.Write([]string{"id", "class", "grade", "lon", "lat", "crs", "interval", "properties"})
	var props []string
	for _, p := range c.Value {
		if u := c.Unit[p]; u != "" {
			p += "=" + u
		}
		props = append(props, p)
	}
	sort.Strings(props)
	if c.Places == "" {
		return nil // nothing is known of the Things but their readings
	}
	f, err := os.Open(c.Places)
	if err != nil {
		return err
	}
	defer f.Close()
	rows := csv.NewReader(f)
	header, err := rows.Read()
	if err != nil {
		return fmt.Errorf("%s: %w", c.Places, err)
	}
	col := map[string]int{}
	for i, h := range header {
		col[h] = i
	}
	for _, need := range []string{c.ID, "lon", "lat"} {
		if _, ok := col[need]; !ok {
			return fmt.Errorf("%s: no column %q; the header has %s", c.Places, need, strings.Join(header, ", "))
		}
	}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.Places, err)
		}
		_ = out.Write([]string{c.Owner + "/" + row[col[c.ID]], c.Class, c.Grade, row[col["lon"]], row[col["lat"]], c.CRS,
			strconv.FormatFloat(c.Interval.Seconds(), 'f', -1, 64), strings.Join(props, ";")})
	}
	out.Flush()
	if err := c.registerAll(ctx, &b); err != nil {
		return fmt.Errorf("register the Things: %w", err)
	}
	return nil
}

// parseZone reads an IANA name or an offset.
func parseZone(s string) (*time.Location, error) {
	if t, err := time.Parse("-07:00", s); err == nil {
		return t.Location(), nil
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, fmt.Errorf("zone %q: want an IANA name or an offset like +08:00", s)
	}
	return zone, nil
}
