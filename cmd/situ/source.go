package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/pkg/geo"
	"github.com/situ-city/situ/pkg/sensor"
)

type sourceCmd struct {
	Check sourceCheckCmd `cmd:"" help:"Say step by step what becomes of a payload, and why not."`
}

type sourceCheckCmd struct {
	File    string `arg:"" name:"config" help:"Configuration file with sources."`
	Source  string `help:"Name of the source; default: the one whose topic it is."`
	Topic   string `help:"Topic on which the payload comes."`
	Payload string `help:"File with the payload, byte by byte; - is standard input." placeholder:"FILE"`
	Arrival string `help:"Judge times as if it came then, such as 2026-11-23T08:00:00Z; default: now."`
}

func (sourceCheckCmd) Help() string {
	return `Nothing is stored and no broker is asked. Things and properties that nobody registered are taken, as with --auto-register. Exit code 0: all would be stored; 1: something would become a dead letter; 2: the configuration cannot work. Without --topic only the configuration is checked. docs/sources.md says what a source may hold.

Examples:
  situ source check situ.yaml
  situ source check situ.yaml --topic acme/north/7/up --payload report.json
  situ source check situ.yaml --source hj --topic hj/station-1 --payload frame.txt
  mosquitto_sub -h plant -t acme/north/7/up -C 1 -N | situ source check situ.yaml --topic acme/north/7/up --payload -`
}

func (c sourceCheckCmd) Run() error { return c.run(os.Stdin, os.Stdout) }

func (c sourceCheckCmd) run(in io.Reader, out io.Writer) error {
	file, err := app.ReadFile(c.File)
	if err != nil {
		return err
	}
	if err := gateway.CheckSources(file.Sources, all.Protocols()); err != nil {
		return fmt.Errorf("%w: %w", app.ErrConfig, err)
	}
	if c.Topic == "" {
		if c.Payload != "" {
			return fmt.Errorf("%w: --payload needs --topic: it says whose payload it is", app.ErrConfig)
		}
		return listSources(out, file.Sources)
	}
	arrival := time.Now()
	if c.Arrival != "" {
		if arrival, err = time.Parse(time.RFC3339, c.Arrival); err != nil {
			return fmt.Errorf("%w: --arrival: %w", app.ErrConfig, err)
		}
	}
	payload, err := c.payload(in)
	if err != nil {
		return err
	}
	catalogue, err := sensor.LoadCatalogue()
	if err != nil {
		return err
	}
	n := normalize.New(normalize.Options{Catalogue: catalogue, AutoRegister: true, Alone: true, Ledger: func() normalize.Ledger { return nobody{} }})
	e, err := gateway.Explain(file.Sources, all.Protocols(), catalogue, n, c.Source, c.Topic, payload, arrival.UnixMilli())
	if err != nil {
		return fmt.Errorf("%w: %w", app.ErrConfig, err)
	}
	return explain(out, e, c.Topic, len(payload))
}

func (c sourceCheckCmd) payload(in io.Reader) ([]byte, error) {
	switch c.Payload {
	case "":
		return nil, fmt.Errorf("%w: --payload FILE is missing; - is standard input", app.ErrConfig)
	case "-":
		return io.ReadAll(io.LimitReader(in, gateway.MaxPayload+1))
	}
	b, err := os.ReadFile(c.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: --payload: %w", app.ErrConfig, err)
	}
	return b, nil
}

// nobody is a registry without an entry.
type nobody struct{}

func (nobody) Version() uint64                                   { return 1 }
func (nobody) Thing(sensor.ThingID) (*sensor.Thing, bool)        { return nil, false }
func (nobody) Serial(string, string) (sensor.ThingID, bool)      { return "", false }
func (nobody) DatastreamsOf(sensor.ThingID) []*sensor.Datastream { return nil }

func listSources(out io.Writer, sources []gateway.Source) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for i := range sources {
		s := &sources[i]
		broker, protocol := s.Broker, s.Protocol
		if broker == "" {
			broker = "(embedded)"
		}
		if protocol == "" {
			protocol = "(the topic's last level)"
		}
		if s.Mapping.Expressions() {
			protocol += " by expressions"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.Name, broker, protocol, strings.Join(s.Topics, " "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d sources, no fault found\n", len(sources))
	return err
}

func explain(out io.Writer, e *gateway.Explanation, topic string, size int) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	line := func(form string, args ...any) { fmt.Fprintf(w, form+"\n", args...) }
	line("topic\t%s, payload of %d bytes", topic, size)
	if s := e.Source; s != nil {
		line("source\t%s, %s", s.Name, s.Where)
		line("pattern\t%s%s", orNone(e.Pattern), parts(e.Parts))
	} else {
		line("source\tnone of the file's; situ's own topics")
	}
	if e.Protocol != "" {
		line("protocol\t%s%s", e.Protocol, settings(e.Source))
	}
	switch {
	case e.Thing == "":
	case e.Thing.Name() == "-":
		line("thing\t%s/..., which one is in the payload", e.Thing.Owner())
	default:
		line("thing\t%s", e.Thing)
	}
	if e.Note != "" {
		line("read by\t%s", e.Note)
	}
	if e.Asked != "" {
		line("asked\tthe sender, on %s, to publish its birth (rebirth: false keeps situ silent)", e.Asked)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	steps(w, e)
	values(w, e)
	if err := w.Flush(); err != nil {
		return err
	}
	return conclude(out, e)
}

func orNone(s string) string {
	if s == "" {
		return "none of the source's fits"
	}
	return s
}

func parts(m map[string]string) (text string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		text += fmt.Sprintf(", %s=%s", k, m[k])
	}
	return text
}

// settings tells those that are not the usual.
func settings(s *gateway.Source) (text string) {
	if s == nil {
		return ""
	}
	if s.Mapping.Expressions() {
		text = ", read by expressions"
	}
	for _, k := range [...]struct{ name, value string }{{"zone", s.Settings.Zone}, {"crc", s.Settings.CRC}, {"encoding", s.Settings.Encoding}} {
		if k.value != "" {
			text += ", " + k.name + " " + k.value
		}
	}
	if s.Settings.Plugin.File != "" {
		text += ", plug-in " + s.Settings.Plugin.File
	}
	if s.CRS != geo.WGS84 {
		text += ", positions in " + s.CRS.String()
	}
	if s.Settings.Strict {
		text += ", strict"
	}
	return text
}

func steps(w *tabwriter.Writer, e *gateway.Explanation) {
	if len(e.Steps) == 0 {
		return
	}
	fmt.Fprintf(w, "\nexpressions\n")
	for _, s := range e.Steps {
		result := s.Result
		if s.Err != nil {
			result = "fails, see below"
		}
		where := fmt.Sprintf("report %d", s.Report)
		if s.Field == "each" {
			where = "payload"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", where, s.Field, s.Text, result)
	}
	_ = w.Flush() // the next Flush says it again
}

func values(w *tabwriter.Writer, e *gateway.Explanation) {
	if len(e.Values) == 0 {
		return
	}
	fmt.Fprintf(w, "\nreadings: what the payload says\n")
	for i := range e.Values {
		fmt.Fprintf(w, "  %d\t%s\n", i, reading(&e.Values[i].Reading))
	}
	_ = w.Flush()
	fmt.Fprintf(w, "\nobservations: what is stored\n")
	for i := range e.Values {
		if v := &e.Values[i]; v.Refused == nil {
			fmt.Fprintf(w, "  %d\t%s\n", i, observation(v))
		} else {
			fmt.Fprintf(w, "  %d\tdead letter, %s\n", i, v.Refused.Reason)
		}
	}
	_ = w.Flush()
}

func reading(r *decode.Reading) string {
	if r.Err != nil {
		return fmt.Sprintf("%s\tcannot be used", r.Key)
	}
	name := r.Key
	if r.Property != r.Key {
		name += " as " + r.Property
	}
	if r.Statistic != sensor.Instant {
		name += " (" + r.Statistic.String() + ")"
	}
	unit, when, where := r.Unit, "no time", "no position"
	if unit == "" {
		unit = "no unit"
	}
	if r.Time != 0 {
		when = moment(r.Time)
	}
	if r.HasPosition {
		where = fmt.Sprintf("%.6f,%.6f", r.Position.Lon, r.Position.Lat)
	}
	if r.Serial != "" {
		name += ", serial " + r.Serial
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", name, result(r.Number, r.Text), unit, when, where, r.Quality)
}

func observation(v *gateway.ExplainedValue) string {
	o := &v.Observation
	unit, where := v.Unit, "no position"
	if unit == "" {
		unit = "unit unknown"
	}
	if p, ok := o.Position(); ok {
		where = fmt.Sprintf("%.6f,%.6f (WGS 84)", p.Lon, p.Lat)
	}
	lane := ""
	if v.Backfill {
		lane = "\tto history only: older than two days"
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s%s", v.Thing, v.Property, result(o.Result, o.Text), unit, moment(o.PhenomenonTime), where, o.Quality, lane)
}

func result(number float64, text string) string {
	if text != "" {
		return fmt.Sprintf("%.80q", text)
	}
	return fmt.Sprintf("%.10g", number)
}

func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z") }

// errDeadLetters: exit code 1.
var errDeadLetters = errors.New("not all of it would be stored")

// conclude says what would be stored, and of the rest why not and what to do.
func conclude(out io.Writer, e *gateway.Explanation) error {
	refused := e.Refusals()
	tell := func(which string, d *sensor.DeadLetter) {
		fmt.Fprintf(out, "\ndead letter%s, reason %s\n  why  %s\n", which, d.Reason, d.Detail)
		if fix := fixes[d.Reason]; fix != "" {
			fmt.Fprintf(out, "  fix  %s\n", fix)
		}
	}
	if e.Refused != nil {
		tell(" of the whole message", e.Refused)
	}
	for i := range e.Values {
		if d := e.Values[i].Refused; d != nil {
			tell(fmt.Sprintf(" of reading %d", i), d)
		}
	}
	fmt.Fprintf(out, "\nobservations: %d, dead letters: %d", len(e.Values)-refused+count(e.Refused != nil), refused)
	if e.Empty != "" && refused == 0 {
		fmt.Fprintf(out, "; the message is counted as empty, reason %s", e.Empty)
	}
	fmt.Fprintln(out, "\nThings and properties that nobody registered are taken here, as with --auto-register.")
	if refused > 0 {
		return errDeadLetters
	}
	return nil
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fixes are what a configuration can do about a reason.
var fixes = map[sensor.Reason]string{
	sensor.ReasonTopic:       `give a source a topic that fits, such as "plant/{thing}/up"`,
	sensor.ReasonProtocol:    "set protocol: to what the device really sends",
	sensor.ReasonEncoding:    "set encoding: gb18030 if the device sends Chinese text so",
	sensor.ReasonChecksum:    "set crc: variants to take known wrong ways to compute it, crc: off to take any",
	sensor.ReasonMalformed:   "compare the payload with the protocol; of an expression, see the column",
	sensor.ReasonTruncated:   "the payload ends too early: is it whole?",
	sensor.ReasonUnsupported: "is protocol: right, and each: the way to this payload's reports?",
	sensor.ReasonThing:       `set thing: to parts of the topic or the payload, such as "{site}-{payload.sn}"`,
	sensor.ReasonProperty:    "give the value a name under rename:",
	sensor.ReasonUnit:        "give the unit that the source really uses under units: or unit:",
	sensor.ReasonPosition:    "are lon: and lat: the right way round, and crs: the source's datum?",
	sensor.ReasonTime:        "is time: in milliseconds (seconds * 1000), and zone: the device's?",
	sensor.ReasonNumber:      "leave the value out with when:, if the source marks what it did not measure so",
	sensor.ReasonBound:       "send smaller payloads",
}
