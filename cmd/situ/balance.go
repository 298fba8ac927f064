package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/internal/store"
)

type balanceCmd struct {
	server
	Since time.Duration `help:"How far to look back; whole hours are counted." default:"24h"`
	Owner string        `help:"Only this owner, and what has none ('?')."`
	Hour  bool          `help:"A line for each hour, too."`
	JSON  bool          `name:"json" help:"The server's whole answer."`
}

func (balanceCmd) Help() string {
	return `Each acknowledged message has at least one row, or a dead letter, or a counted reason to be empty, or a declared
gap. What nothing tells of is missing, and then the exit code is 1. What has no owner stands under '?'.

Examples:
  situ balance
  situ balance --since 1h --owner ecology --hour
  situ balance --json | jq .trouble`
}

func (c balanceCmd) Run(ctx context.Context) error {
	now := time.Now().UTC()
	v := url.Values{"from": {now.Add(-c.Since).Format(time.RFC3339)}, "to": {now.Format(time.RFC3339)}, "owner": {c.Owner}}
	res, err := c.do(ctx, http.MethodGet, "/v1/balance?"+v.Encode(), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	var doc query.BalanceDoc
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("answer of the server: %w", err)
	}
	if c.JSON {
		fmt.Println(strings.TrimSpace(string(raw)))
	} else {
		c.print(os.Stdout, &doc, now)
	}
	return verdictOf(&doc)
}

// verdictOf is an error if the promise is not kept.
func verdictOf(doc *query.BalanceDoc) error {
	t := &doc.Total
	if t.Wrong() == 0 {
		return nil
	}
	return fmt.Errorf("the balance is not even: %d messages, %d rows and %d dead letters are missing, %d rows are there too often",
		t.Missing, t.RowsMissing, t.LettersMissing, t.RowsDoubled)
}

// balanceLine is one line of the table.
type balanceLine struct {
	hour  time.Time // zero: all hours
	owner string
	store.Account
}

func (c balanceCmd) print(w io.Writer, doc *query.BalanceDoc, now time.Time) {
	words := 1
	table := [][]string{{"owner", "messages", "with rows", "dead letters", "empty", "gaps", "missing", "rows", "missing", "doubled"}}
	add := func(hour, owner string, a *store.Account) {
		line := []string{owner}
		for _, n := range []uint64{a.Messages, a.WithRows, a.DeadLetters, a.Empties, a.Gaps, a.Missing, a.Observations, a.RowsMissing, a.RowsDoubled} {
			line = append(line, strconv.FormatUint(n, 10))
		}
		if c.Hour {
			line = append([]string{hour}, line...)
		}
		table = append(table, line)
	}
	if c.Hour {
		words = 2
		table[0] = append([]string{"hour (UTC)"}, table[0]...)
	}
	for _, l := range c.lines(doc) {
		if l.Messages+l.Wrong() > 0 {
			add(l.hour.Format("2006-01-02 15:04"), cmp.Or(l.owner, "(not in the registry)"), &l.Account)
		}
	}
	add("", "all", &doc.Total)
	printTable(w, table, words)
	c.printClosed(w, doc, now)
	printTrouble(w, doc)
}

// printTable writes columns, the first `words` of them aligned to the left, numbers to the right.
func printTable(w io.Writer, table [][]string, words int) {
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range table {
		for i, cell := range line {
			if i < words {
				fmt.Fprintf(w, "%-*s", widths[i], cell)
			} else {
				fmt.Fprintf(w, "  %*s", widths[i], cell)
			}
			if i < words-1 {
				fmt.Fprint(w, "  ")
			}
		}
		fmt.Fprintln(w)
	}
}

// lines sums the rows of an owner, or of an owner and hour.
func (c balanceCmd) lines(doc *query.BalanceDoc) (list []balanceLine) {
	at := map[balanceLineKey]int{}
	for i := range doc.Rows {
		r := &doc.Rows[i]
		k := balanceLineKey{owner: r.Owner}
		if c.Hour {
			k.hour = r.Hour
		}
		n, ok := at[k]
		if !ok {
			n = len(list)
			at[k] = n
			list = append(list, balanceLine{hour: k.hour, owner: k.owner})
		}
		list[n].Add(&r.Account)
	}
	slices.SortStableFunc(list, func(a, b balanceLine) int {
		return cmp.Or(a.hour.Compare(b.hour), cmp.Compare(a.owner, b.owner))
	})
	return list
}

type balanceLineKey struct {
	hour  time.Time
	owner string
}

func (c balanceCmd) printClosed(w io.Writer, doc *query.BalanceDoc, now time.Time) {
	fmt.Fprintf(w, "\nfrom %s", doc.From.Format("2006-01-02 15:04"))
	switch {
	case doc.ClosedUntil == nil:
		fmt.Fprint(w, "; nothing is closed yet")
	default:
		fmt.Fprintf(w, ", closed until %s UTC (%s ago); what came later is on its way", doc.ClosedUntil.Format("2006-01-02 15:04:05"),
			max(now.Sub(*doc.ClosedUntil), 0).Round(time.Second))
	}
	if n := doc.Total.Unjudged; n > 0 {
		fmt.Fprintf(w, "; %d messages are stored and not closed", n)
	}
	if n := doc.Total.Repeats; n > 0 {
		fmt.Fprintf(w, "; %d second deliveries were dropped", n)
	}
	fmt.Fprintln(w)
}

// printTrouble says where to look, and what to do.
func printTrouble(w io.Writer, doc *query.BalanceDoc) {
	advice := map[string]string{}
	for _, t := range doc.Trouble {
		fmt.Fprintf(w, "%-8s %s lane %s, epoch %d, seq %d to %d, hour %s\n", t.What, t.Gateway, t.Lane, t.Epoch, t.SeqFrom, t.SeqTo, t.Hour.Format("2006-01-02 15:04"))
		advice[t.What] = balanceAdvice[t.What]
	}
	for _, what := range []string{"lost", "skipped", "doubled"} {
		if advice[what] != "" {
			fmt.Fprintln(w, advice[what])
		}
	}
}

var balanceAdvice = map[string]string{
	"lost": "lost: the log had them and the tables do not. Was a partition or a part dropped, or a backup restored? " +
		"Keep the data directory as it is, look for 'detached' and 'broken' in the engine's log, and report it.",
	"skipped": "skipped: the ingester never saw them. Did the gateway's spool or the topic lose records, or were the group's commits removed? " +
		"Look at the gateway's log and its spool directory before it is freed.",
	"doubled": "doubled: one value is stored more than once; history shows it once. Was a block inserted by hand, or a backup restored over newer data?",
}
