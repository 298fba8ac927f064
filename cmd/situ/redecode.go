package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/progress"
	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/pkg/sensor"
)

type redecodeCmd struct {
	server
	With           string `help:"Configuration file with the newer sources and plug-ins; default: what runs now." type:"path"`
	Source         string `help:"Only payloads that came by this source; '-' = situ's own topics."`
	Protocol       string `help:"Only payloads of this protocol."`
	Thing          string `help:"Only payloads of this Thing, owner/name."`
	Since          string `help:"Only payloads that arrived then or later: RFC 3339, or how long ago (72h)."`
	Until          string `help:"Only payloads that arrived before: RFC 3339, or how long ago."`
	DryRun         bool   `help:"Say what would be, with the first differences, and store nothing."`
	RetractRefused bool   `help:"What the newer decoder refuses is taken back, too; else it stays as it was."`
	Differences    int    `help:"How many of the first differences are shown." default:"20"`
}

func (redecodeCmd) Help() string {
	return `Payloads are kept where a source says keep: raw, or situ run --keep-raw. What comes out otherwise than it did takes the old
value's place in history, latest and the roll-ups, under the message's own identity and arrival; the old one stays in the raw
table. What comes out as it was is not touched, so the same command again, also after it was stopped, changes nothing more.

Examples:
  situ redecode --with new.yaml --source acme --dry-run
  situ redecode --with new.yaml --source acme
  situ redecode --protocol hj212 --since 2026-11-01T00:00:00Z --until 2026-11-08T00:00:00Z
  situ redecode --thing ecology/air-1 --since 72h --retract-refused`
}

// redecodeLine is what the server says after each page.
type redecodeLine = query.RedecodeLine

func (c redecodeCmd) Run(ctx context.Context) error {
	req, err := c.request()
	if err != nil {
		return err
	}
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	res, err := c.do(ctx, http.MethodPost, "/v1/redecode", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	bar := progress.New(os.Stderr, "redecode")
	dec := json.NewDecoder(res.Body)
	var last redecodeLine
	for !last.Done && last.Error == "" {
		last = redecodeLine{}
		if err := dec.Decode(&last); err != nil {
			return fmt.Errorf("the answer broke off: %w; what is done is done: the same command goes on", err)
		}
		bar.Set(float64(last.Payloads)/float64(max(1, last.Total)), last.Words)
	}
	if last.Error != "" {
		return fmt.Errorf("%s; what is done is done: the same command goes on (%s)", last.Error, last.Words)
	}
	bar.Done(fmt.Sprintf("%d payloads", last.Payloads))
	c.report(&last)
	return nil
}

func (c redecodeCmd) report(last *redecodeLine) {
	for _, line := range last.Differences {
		fmt.Println(printable(line))
	}
	if more := last.Added + last.Changed + last.Retracted - len(last.Differences); more > 0 && len(last.Differences) > 0 {
		fmt.Printf("and %d more\n", more)
	}
	for _, line := range last.Refusals {
		fmt.Println("refused", printable(line))
	}
	if c.DryRun {
		fmt.Println("dry run, nothing is stored:", last.Words)
		return
	}
	fmt.Println(last.Words)
}

func (c redecodeCmd) request() (*query.RedecodeRequest, error) {
	req := &query.RedecodeRequest{Source: c.Source, Protocol: c.Protocol, Thing: sensor.ThingID(c.Thing), DryRun: c.DryRun,
		RetractRefused: c.RetractRefused, Differences: c.Differences}
	var err, err2 error
	req.Since, err = sinceWhen("--since", c.Since)
	req.Until, err2 = sinceWhen("--until", c.Until)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	if c.Thing != "" {
		if req.Thing, err = sensor.ParseThingID(c.Thing); err != nil {
			return nil, fmt.Errorf("--thing %s: %w", c.Thing, err)
		}
	}
	if c.With != "" {
		if req.With, err = app.RedecodeWith(c.With); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// sinceWhen reads a time, or how long ago.
func sinceWhen(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return time.Now().Add(-ago), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%s %q: want RFC 3339, or how long ago (72h)", flag, text)
	}
	return t, nil
}
