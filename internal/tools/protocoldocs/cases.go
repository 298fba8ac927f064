package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// example is a golden case.
type example struct {
	name     string
	about    string
	topic    string
	settings string
	earlier  int // how many payloads came before
	payload  []byte
	outcome  outcome
}

// outcome is readings.json.
type outcome struct {
	Readings []reading
	Empty    string
	Error    string
	Reason   string
}

type reading struct {
	Thing, Serial, Key, Property, Statistic, Time string
	From                                          int64  `json:"from_arrival_ms"`
	ResultTime                                    string `json:"result_time"`
	Number                                        *float64
	Text, Unit                                    string
	Lon, Lat                                      *float64
	Quality, Error, Reason                        string
}

// read gives the cases of a protocol.
func read(root string, p protocol) ([]example, error) {
	dirs, err := filepath.Glob(filepath.Join(root, "testdata", "payloads", p.name, "*", "payload"))
	if err != nil {
		return nil, err
	}
	var all []example
	for _, path := range dirs {
		e, err := one(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func one(dir string) (e example, err error) {
	e.name = filepath.Base(dir)
	file := func(name string) []byte {
		b, wrong := os.ReadFile(filepath.Join(dir, name))
		if wrong != nil && !errors.Is(wrong, fs.ErrNotExist) {
			err = wrong
		}
		return b
	}
	e.payload = file("payload")
	e.about = strings.TrimSpace(string(file("about.txt")))
	e.topic = strings.TrimSpace(string(file("topic")))
	e.settings = strings.Join(strings.Fields(string(file("settings.json"))), " ")
	for len(file(fmt.Sprintf("earlier-%d", e.earlier+1))) > 0 {
		e.earlier++
	}
	if err == nil {
		err = json.Unmarshal(file("readings.json"), &e.outcome)
	}
	return e, err
}

// examples shows the cases, those that give readings first, and among them the one that shows the protocol best.
func examples(p protocol, cases []example) string {
	var given, empty, refused strings.Builder
	for _, first := range []bool{true, false} {
		for _, e := range cases {
			if (e.name == p.example) != first {
				continue
			}
			switch {
			case e.outcome.Error != "":
				e.show(&refused)
			case len(e.outcome.Readings) == 0:
				e.show(&empty)
			default:
				e.show(&given)
			}
		}
	}
	var b strings.Builder
	for _, part := range []struct {
		head string
		text *strings.Builder
	}{{"Examples", &given}, {"Examples with nothing to store", &empty}, {"Examples that are refused", &refused}} {
		if part.text.Len() > 0 {
			fmt.Fprintf(&b, "## %s\n\n%s", part.head, part.text)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// show writes one case.
func (e *example) show(b *strings.Builder) {
	fmt.Fprintf(b, "### %s\n\n%s\n\n", e.name, e.about)
	var how []string
	if e.topic != "" {
		how = append(how, "topic `"+e.topic+"`")
	}
	if e.settings != "" {
		how = append(how, "settings `"+e.settings+"`")
	}
	if e.earlier > 0 {
		how = append(how, fmt.Sprintf("%d sent before", e.earlier))
	}
	lang, text, notes := shown(e.payload, e.outcome.Error == "")
	if how = append(how, notes...); len(how) > 0 {
		fmt.Fprintf(b, "*%s:*\n\n", strings.Join(how, ", "))
	}
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	fmt.Fprintf(b, "%s%s\n%s\n%s\n\n", fence, lang, strings.TrimRight(text, "\n"), fence)
	switch {
	case e.outcome.Error != "":
		fmt.Fprintf(b, "Refused, `%s`: %s\n\n", e.outcome.Reason, code(cut(e.outcome.Error, 400)))
	case len(e.outcome.Readings) == 0:
		fmt.Fprintf(b, "Nothing to store: `%s`.\n\n", e.outcome.Empty)
	default:
		b.WriteString(rows(e.outcome.Readings))
	}
}

// Bounds of what is shown of one case.
const (
	maxText = 2000 // bytes
	maxHex  = 256  // bytes
	maxRows = 24
)

// shown makes a payload readable: text as it is, JSON with its structure, anything else as a hex dump.
func shown(payload []byte, valid bool) (lang, text string, notes []string) {
	if len(payload) == 0 {
		return "text", "", []string{"no byte at all"}
	}
	rest, marked := bytes.CutPrefix(payload, []byte("\ufeff"))
	if marked {
		notes = append(notes, "behind a byte order mark")
	}
	plain := bytes.ReplaceAll(rest, []byte("\r\n"), []byte("\n"))
	if !isText(plain) || len(bytes.TrimSpace(plain)) == 0 {
		if len(payload) > maxHex {
			notes = append(notes, fmt.Sprintf("the first %d of %d bytes", maxHex, len(payload)))
		}
		return "text", hex.Dump(payload[:min(len(payload), maxHex)]), notes
	}
	if len(plain) < len(rest) {
		notes = append(notes, "with CR LF at its line ends")
	}
	lang = "text"
	if json.Valid(plain) {
		lang = "json"
		var b bytes.Buffer
		if valid && len(plain) > 120 && json.Indent(&b, bytes.TrimSpace(plain), "", "  ") == nil && bytes.Count(b.Bytes(), []byte("\n")) < 100 {
			plain = b.Bytes()
		}
	}
	if len(plain) > maxText {
		notes = append(notes, fmt.Sprintf("the beginning of %d bytes", len(payload)))
		lang = "text"
	}
	return lang, cut(string(plain), maxText), notes
}

// isText tells what can stand on a page as it is.
func isText(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return false
		}
	}
	return true
}

// cut shortens a text to about n bytes.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// rows is the table of what came out, without the columns that say nothing.
func rows(readings []reading) string {
	columns := []struct {
		name string
		of   func(r *reading) string
	}{
		{"Thing", func(r *reading) string { return r.Thing }},
		{"serial", func(r *reading) string { return r.Serial }},
		{"key", func(r *reading) string { return code(r.Key) }},
		{"property", func(r *reading) string {
			if r.Property == r.Key {
				return ""
			}
			return code(r.Property)
		}},
		{"value", func(r *reading) string { return cut(value(r), 120) }},
		{"unit", func(r *reading) string { return r.Unit }},
		{"statistic", func(r *reading) string { return r.Statistic }},
		{"time", func(r *reading) string { return when(r) }},
		{"result time", func(r *reading) string { return r.ResultTime }},
		{"lon, lat", func(r *reading) string { return place(r) }},
		{"quality", func(r *reading) string { return r.Quality }},
		{"unusable", func(r *reading) string {
			if r.Error == "" {
				return ""
			}
			return "`" + r.Reason + "`: " + cut(r.Error, 300)
		}},
	}
	var b, line strings.Builder
	more := max(0, len(readings)-maxRows)
	readings = readings[:len(readings)-more]
	lines := make([]strings.Builder, len(readings))
	for _, c := range columns {
		said := make([]string, len(readings))
		some := false
		for i := range readings {
			said[i] = c.of(&readings[i])
			some = some || said[i] != ""
		}
		if !some {
			continue
		}
		b.WriteString("| " + c.name + " ")
		line.WriteString("|---")
		for i := range readings {
			lines[i].WriteString("| " + cell(said[i]) + " ")
		}
	}
	b.WriteString("|\n" + line.String() + "|\n")
	for i := range lines {
		b.WriteString(lines[i].String() + "|\n")
	}
	if more > 0 {
		fmt.Fprintf(&b, "\nand %d more.\n", more)
	}
	return b.String() + "\n"
}

func value(r *reading) string {
	switch {
	case r.Error != "":
		return ""
	case r.Number != nil:
		return number(*r.Number)
	}
	return "“" + r.Text + "”"
}

func when(r *reading) string {
	if r.From != 0 {
		return fmt.Sprintf("%s s from the arrival", strconv.FormatFloat(float64(r.From)/1000, 'f', -1, 64))
	}
	return r.Time
}

func place(r *reading) string {
	if r.Lon == nil || r.Lat == nil {
		return ""
	}
	return number(*r.Lon) + ", " + number(*r.Lat)
}

func number(x float64) string {
	if x > -1e15 && x < 1e15 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// code shows a text as code.
func code(s string) string {
	if s == "" {
		return ""
	}
	if !isText([]byte(s)) {
		s = strconv.Quote(s)
	}
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}

// cell makes a text fit for a table.
func cell(s string) string {
	s = strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ").Replace(s)
	if strings.HasPrefix(s, "`") {
		return s
	}
	return strings.ReplaceAll(s, "<", "&lt;")
}
