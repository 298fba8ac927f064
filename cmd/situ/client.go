package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// server is where a running situ answers, and the key for it.
type server struct {
	URL string `help:"Where situ answers." default:"http://127.0.0.1:8080" env:"SITU_URL"`
	Key string `name:"key" help:"Administrator's key." env:"SITU_ADMIN_KEY"`
}

// do sends one request; an answer that is not a success becomes an error with the server's own words.
func (s server) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(s.URL, "/")+path, body)
	if err != nil {
		return nil, err
	}
	if s.Key != "" {
		req.Header.Set("Authorization", "Bearer "+s.Key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w (is situ running at %s?)", err, s.URL)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	var p struct {
		Detail string
		Errors []struct{ Message, Location string }
	}
	if json.Unmarshal(b, &p) == nil && p.Detail != "" {
		for _, e := range p.Errors {
			p.Detail += "; " + e.Location + ": " + e.Message
		}
		return nil, fmt.Errorf("%s: %s", res.Status, p.Detail)
	}
	return nil, fmt.Errorf("%s: %s", res.Status, strings.TrimSpace(string(b)))
}

type sqlCmd struct {
	server
	Query  string            `arg:"" help:"One SELECT; '-' reads it from standard input."`
	Format string            `short:"f" help:"json, jsonl, csv, tsv, parquet or arrow." default:"tsv"`
	Param  map[string]string `help:"Parameters: --param x=1 for {x:UInt64}."`
}

func (sqlCmd) Help() string {
	return `Examples:
  situ sql "SELECT property, count(), avg(result) FROM history GROUP BY property ORDER BY 2 DESC"
  situ sql -f csv "SELECT * FROM history WHERE thing = {t:String} LIMIT 10" --param t=ecology/air-00012
  echo "SELECT max(phenomenon_time) FROM history" | situ sql -`
}

func (c sqlCmd) Run(ctx context.Context) error {
	var body io.Reader = strings.NewReader(c.Query)
	if c.Query == "-" {
		body = os.Stdin
	}
	v := url.Values{"format": {c.Format}}
	for k, p := range c.Param {
		v.Set("param_"+k, p)
	}
	res, err := c.do(ctx, http.MethodPost, "/v1/sql?"+v.Encode(), body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err = io.Copy(os.Stdout, res.Body); err != nil {
		return fmt.Errorf("the result broke off: %w", err)
	}
	return nil
}

type registerCmd struct {
	server
	File  string `arg:"" help:"CSV file with a header; '-' reads standard input."`
	Model string `help:"Model of the sensors whose row names none (column model; GET /v1/models lists them): it fills in what a row leaves empty."`
}

func (registerCmd) Help() string {
	return `The file has one Thing (or one Datastream of a Thing) a row; headers in English or Chinese:
  id,title,class,grade,lon,lat,crs,division,serial,interval,properties
  ecology/air-1,South gate,government,open,106.5516,29.5630,GCJ02,500103,Y8011,60s,pm2_5;pm10

A column model (dragino/lht65) fills in the Datastreams, units, intervals and ranges that a row leaves empty.

Examples:
  situ register things.csv
  situ register --model sds011 citizens.csv
  SITU_ADMIN_KEY=situ_admin_... situ register - < things.csv`
}

// verdict is the server's answer to one row.
type verdict struct {
	Row    int
	Status string
	Thing  string
	Error  string
	Notes  []string
}

func (c registerCmd) Run(ctx context.Context) error {
	in := os.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	verdicts, err := c.register(ctx, in, c.Model)
	if err != nil {
		return err
	}
	return report(verdicts)
}

// register sends a CSV register and gives one verdict a row. model is that of rows that name none.
func (s server) register(ctx context.Context, csv io.Reader, model string) ([]verdict, error) {
	path := "/v1/register"
	if model != "" {
		path += "?" + url.Values{"model": {model}}.Encode()
	}
	res, err := s.do(ctx, http.MethodPost, path, csv)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer struct{ Rows []verdict }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("answer of the server: %w", err)
	}
	return answer.Rows, nil
}

// registerAll is register where every row must be taken.
func (s server) registerAll(ctx context.Context, csv io.Reader) error {
	verdicts, err := s.register(ctx, csv, "")
	for _, v := range verdicts {
		if v.Error != "" {
			return fmt.Errorf("%s: %s", v.Thing, v.Error)
		}
	}
	return err
}

// report prints what the rows became; an error says that some were refused.
func report(verdicts []verdict) error {
	counts := map[string]int{}
	for _, v := range verdicts {
		counts[v.Status]++
		where := strings.TrimSpace(fmt.Sprintf("row %d %s", v.Row, v.Thing))
		if v.Error != "" {
			fmt.Fprintf(os.Stderr, "%s: %s\n", where, v.Error) // it begins with the column
		}
		for _, n := range v.Notes {
			fmt.Fprintf(os.Stderr, "%s: note: %s\n", where, n)
		}
	}
	var words []string
	for _, status := range []string{"created", "updated", "unchanged", "failed"} {
		if n := counts[status]; n > 0 {
			words = append(words, fmt.Sprint(n, " ", status))
		}
	}
	fmt.Printf("%d rows: %s\n", len(verdicts), strings.Join(words, ", "))
	if bad := counts["failed"]; bad > 0 {
		return fmt.Errorf("%d of %d rows were refused; the others are registered", bad, len(verdicts))
	}
	return nil
}
