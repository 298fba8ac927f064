package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

type deadlettersCmd struct {
	List   deadlettersListCmd   `cmd:"" default:"withargs" help:"List dead letters, newest first."`
	Show   deadlettersShowCmd   `cmd:"" help:"Show one: what went wrong, how to mend it, and its payload."`
	Replay deadlettersReplayCmd `cmd:"" help:"Read dead letters again, with the registry and configuration of today."`
}

// which says which dead letters are meant.
type which struct {
	Reason string `help:"Only this reason: topic, malformed, checksum, time, thing, ..."`
	Owner  string `help:"Only this owner."`
	Thing  string `help:"Only this Thing, owner/name."`
	Since  string `help:"Only those that arrived since: 2026-11-23T08:00:00Z, or 24h for the last day."`
}

// since is a time as the server wants it; "" if none was given.
func (w which) since() (string, error) {
	if w.Since == "" {
		return "", nil
	}
	if d, err := time.ParseDuration(w.Since); err == nil {
		return time.Now().Add(-d.Abs()).UTC().Format(time.RFC3339Nano), nil
	}
	if _, err := time.Parse(time.RFC3339, w.Since); err != nil {
		return "", fmt.Errorf("--since %q is neither a time such as 2026-11-23T08:00:00Z nor a length such as 24h", w.Since)
	}
	return w.Since, nil
}

type deadlettersListCmd struct {
	server
	which
	State string `help:"open, resolved or all." enum:"open,resolved,all" default:"open"`
	Limit int    `help:"At most so many." default:"50"`
	JSON  bool   `name:"json" help:"One JSON document a line, with the begin of the payload in base64."`
}

func (deadlettersListCmd) Help() string {
	return `Examples:
  situ deadletters --reason checksum
  situ deadletters list --thing ecology/air-1 --since 24h
  situ deadletters --owner ecology --json | head -1`
}

// letter is a dead letter as the server tells it.
type letter struct {
	ID, State, Reason, Detail                                    string
	Topic, Protocol, Owner, Thing, Field, Source, Broker, Client string
	User, Readings, Log                                          string
	Arrival, Changed                                             time.Time
	Packet, QoS, Size, Kept, Tries, Partition                    int
	From                                                         int64 `json:"offset_from"`
	To                                                           int64 `json:"offset_to"`
	Payload                                                      []byte
}

func (c deadlettersListCmd) Run(ctx context.Context) error {
	since, err := c.since()
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	defer out.Flush()
	v := url.Values{"reason": {c.Reason}, "owner": {c.Owner}, "thing": {c.Thing}, "state": {c.State}}
	if since != "" {
		v.Set("since", since)
	}
	for left := c.Limit; ; {
		v.Set("limit", fmt.Sprint(min(left, 1000)))
		var page struct {
			Letters []json.RawMessage `json:"dead_letters"`
			Next    string
		}
		if err := c.ask(ctx, http.MethodGet, "/v1/deadletters?"+v.Encode(), nil, &page); err != nil {
			return err
		}
		for _, raw := range page.Letters {
			if err := c.print(out, raw); err != nil {
				return err
			}
		}
		left -= len(page.Letters)
		if page.Next == "" || left <= 0 {
			return nil
		}
		v.Set("cursor", page.Next)
	}
}

func (c deadlettersListCmd) print(out io.Writer, raw json.RawMessage) error {
	if c.JSON {
		fmt.Fprintln(out, string(raw))
		return nil
	}
	var d letter
	if err := json.Unmarshal(raw, &d); err != nil {
		return err
	}
	where := d.Topic
	if where == "" {
		where = d.Thing
	}
	fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", d.Arrival.UTC().Format(time.RFC3339), d.ID, d.Reason, where, printable(d.Detail))
	return nil
}

// ask sends a request and reads the JSON answer.
func (s server) ask(ctx context.Context, method, path string, body, answer any) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(b)
	}
	res, err := s.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		return fmt.Errorf("answer of the server: %w", err)
	}
	return nil
}

type deadlettersShowCmd struct {
	server
	ID  string `arg:"" help:"Name of the letter, as the list shows it."`
	Raw bool   `help:"Write the payload alone, byte by byte as it came, to standard output."`
}

func (deadlettersShowCmd) Help() string {
	return `Examples:
  situ deadletters show gw-1:1:live:42:0
  situ deadletters show --raw gw-1:1:live:42:0 > payload`
}

func (c deadlettersShowCmd) Run(ctx context.Context) error {
	var d letter
	if err := c.ask(ctx, http.MethodGet, "/v1/deadletters/"+url.PathEscape(c.ID), nil, &d); err != nil {
		return err
	}
	if c.Raw {
		_, err := os.Stdout.Write(d.Payload)
		return err
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	for _, line := range d.lines() {
		if line[1] != "" {
			fmt.Fprintf(out, "%s\t%s\n", line[0], printable(line[1]))
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return d.dump(os.Stdout)
}

func (d *letter) lines() [][2]string {
	packet := ""
	if d.Packet > 0 {
		packet = fmt.Sprintf("%d (QoS %d)", d.Packet, d.QoS)
	}
	state := d.State
	if d.Tries > 0 {
		state += fmt.Sprintf(", replayed %d times, last at %s", d.Tries, d.Changed.UTC().Format(time.RFC3339))
	}
	return [][2]string{
		{"letter", d.ID}, {"state", state}, {"reason", d.Reason}, {"what", d.Detail}, {"arrived", d.Arrival.UTC().Format(time.RFC3339Nano)},
		{"topic", d.Topic}, {"protocol", d.Protocol}, {"owner", d.Owner}, {"thing", d.Thing}, {"field", d.Field}, {"readings", d.Readings},
		{"source", d.Source}, {"broker", d.Broker}, {"client", d.Client}, {"user", d.User}, {"packet", packet},
		{"log", fmt.Sprintf("%s, partition %d, offsets %d to %d", d.Log, d.Partition, d.From, d.To-1)},
		{"replay", "situ deadletters replay " + d.ID},
	}
}

// dump shows the payload as text where it is text, and in hexadecimal.
func (d *letter) dump(out io.Writer) error {
	cut := ""
	if len(d.Payload) < d.Size {
		cut = fmt.Sprintf("; CUT: %d bytes are kept, so it cannot be replayed", len(d.Payload))
	}
	fmt.Fprintf(out, "\npayload, %d bytes%s\n", d.Size, cut)
	if utf8.Valid(d.Payload) && len(d.Payload) > 0 {
		fmt.Fprintf(out, "%s\n\n", printable(string(d.Payload)))
	}
	dumper := hex.Dumper(out)
	if _, err := dumper.Write(d.Payload); err != nil {
		return err
	}
	return dumper.Close()
}

// printable keeps what senders wrote from moving the terminal's cursor; line breaks of a payload stay.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return utf8.RuneError
		}
		return c
	}, s)
}

type deadlettersReplayCmd struct {
	server
	which
	IDs    []string      `arg:"" optional:"" name:"id" help:"Names of letters; or say which ones with --owner, --reason, --thing, --since."`
	All    bool          `help:"Every open letter."`
	DryRun bool          `help:"Say what would be, and store nothing."`
	Shift  time.Duration `help:"Add this to every time in the payloads: the device's clock was wrong (--shift=-8h)."`
	Time   string        `help:"arrival: the time of arrival stands for every time in the payloads." enum:",arrival" default:""`
	Quiet  bool          `short:"q" help:"No line for a letter that is resolved."`
}

func (deadlettersReplayCmd) Help() string {
	return `What was wrong is to be mended first: register the Thing, declare the Datastream, widen the credential. A letter
keeps its identity; what it becomes is in the history once, however often it is replayed.

Examples:
  situ deadletters replay gw-1:1:live:42:0
  situ deadletters replay --owner ecology --reason thing --dry-run
  situ deadletters replay --reason time --thing ecology/air-1 --shift=-8h
  situ deadletters replay --reason time --thing ecology/air-2 --time arrival`
}

// replayRequest is what the server is asked.
type replayRequest struct {
	IDs    []string `json:"ids,omitempty"`
	Owner  string   `json:"owner,omitempty"`
	Reason string   `json:"reason,omitempty"`
	Thing  string   `json:"thing,omitempty"`
	Since  string   `json:"since,omitempty"`
	All    bool     `json:"all,omitempty"`
	Cursor string   `json:"cursor,omitempty"`
	DryRun bool     `json:"dry_run,omitempty"`
	Shift  string   `json:"shift,omitempty"`
	Time   string   `json:"time,omitempty"`
}

// replayPage is what it answers.
type replayPage struct {
	Rows []struct {
		ID, Status, Reason, Detail string
		Values                     int
	}
	Next string
}

// replayed counts what became of letters.
type replayed struct {
	statuses map[string]int
	letters  int
	values   int
}

func (c deadlettersReplayCmd) Run(ctx context.Context) error {
	since, err := c.since()
	if err != nil {
		return err
	}
	req := replayRequest{Owner: c.Owner, Reason: c.Reason, Thing: c.Thing, Since: since, All: c.All, DryRun: c.DryRun, Time: c.Time}
	if c.Shift != 0 {
		req.Shift = c.Shift.String()
	}
	if len(c.IDs) == 0 && c.Owner+c.Reason+c.Thing+since == "" && !c.All {
		return errors.New("say which letters: their names, --owner, --reason, --thing, --since, or --all")
	}
	total := replayed{statuses: map[string]int{}}
	for ids := c.IDs; ; {
		n := min(len(ids), 200)
		req.IDs, ids = ids[:n], ids[n:]
		var page replayPage
		if err := c.ask(ctx, http.MethodPost, "/v1/deadletters/replay", req, &page); err != nil {
			return fmt.Errorf("%w; what is done is done: the same command goes on", err)
		}
		c.report(&page, &total)
		if req.Cursor = page.Next; page.Next == "" && len(ids) == 0 {
			return total.end(c.DryRun)
		}
		fmt.Fprintln(os.Stderr, total.words())
	}
}

// report prints one verdict a letter.
func (c deadlettersReplayCmd) report(page *replayPage, total *replayed) {
	for _, row := range page.Rows {
		total.letters++
		total.statuses[row.Status]++
		total.values += row.Values
		switch {
		case row.Status == "resolved" && c.Quiet:
		case row.Detail == "":
			fmt.Printf("%s  %s, %d values\n", row.ID, row.Status, row.Values)
		default:
			fmt.Printf("%s  %s: %s: %s\n", row.ID, row.Status, row.Reason, printable(row.Detail))
		}
	}
}

func (r *replayed) words() string {
	text := fmt.Sprintf("%d letters, %d values", r.letters, r.values)
	for _, status := range []string{"resolved", "already", "open", "unfit", "not_found"} {
		if n := r.statuses[status]; n > 0 {
			text += fmt.Sprintf(", %d %s", n, strings.ReplaceAll(status, "_", " "))
		}
	}
	return text
}

// end says it all again; an error says that some are not resolved.
func (r *replayed) end(dry bool) error {
	if dry {
		fmt.Println("dry run, nothing is stored:", r.words())
		return nil
	}
	fmt.Println(r.words())
	if bad := r.letters - r.statuses["resolved"] - r.statuses["already"]; bad > 0 {
		return fmt.Errorf("%d of %d dead letters are not resolved", bad, r.letters)
	}
	return nil
}
