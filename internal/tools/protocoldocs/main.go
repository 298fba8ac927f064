// Command protocoldocs writes docs/protocols: a page a protocol, made of the documentation of its package and of its
// golden cases, and the table in docs/protocols/README.md. protocols.csv names what neither of the two knows.
//
//	go generate ./internal/decode/all
//
// Its test fails when a page is not what would be written now.
package main

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	root := flag.String("root", ".", "the repository")
	flag.Parse()
	if err := write(*root); err != nil {
		fmt.Fprintln(os.Stderr, "protocoldocs:", err)
		os.Exit(1)
	}
}

//go:embed protocols.csv
var table []byte

// protocol is a row of protocols.csv.
type protocol struct {
	name     string // as in topics and configurations
	pkg      string // the directory in internal/decode
	title    string
	sector   string
	standard string
	edition  string
	topic    string // where it is met; "" = situ's own only
	example  string // the case that shows it best
	same     string // the protocol whose page documents the package, if it is not this one
}

// protocols reads the table.
func protocols() ([]protocol, error) {
	rows, err := csv.NewReader(bytes.NewReader(table)).ReadAll()
	if err != nil {
		return nil, err
	}
	var all []protocol
	for _, r := range rows[1:] {
		p := protocol{name: r[0], pkg: r[1], title: r[2], sector: r[3], standard: r[4], edition: r[5], topic: r[6], example: r[7]}
		if i := slices.IndexFunc(all, func(q protocol) bool { return q.pkg == p.pkg }); i >= 0 {
			p.same = all[i].name
		}
		all = append(all, p)
	}
	return all, nil
}

// write makes every page.
func write(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for path, text := range files {
		if err := os.WriteFile(filepath.Join(root, path), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

const (
	dir   = "docs/protocols"
	index = dir + "/README.md"
	begin = "<!-- Written by go generate ./internal/decode/all: from here -->\n"
	end   = "<!-- to here -->\n"
)

// generate gives what the pages and the table should be, by their path below root.
func generate(root string) (map[string][]byte, error) {
	all, err := protocols()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, p := range all {
		cases, err := read(root, p)
		if err != nil {
			return nil, err
		}
		text, err := page(root, p, cases)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		files[dir+"/"+p.name+".md"] = text
	}
	readme, err := os.ReadFile(filepath.Join(root, index))
	if err != nil {
		return nil, err
	}
	before, rest, ok := strings.Cut(string(readme), begin)
	_, after, too := strings.Cut(rest, end)
	if !ok || !too {
		return nil, fmt.Errorf("%s does not say where the table belongs", index)
	}
	files[index] = []byte(before + begin + "\n" + overview(all) + "\n" + end + after)
	return files, nil
}

// overview is the table of all protocols.
func overview(all []protocol) string {
	var b strings.Builder
	b.WriteString("| protocol | what | sector | standard | edition | topics it is met on | example |\n|---|---|---|---|---|---|---|\n")
	for _, p := range all {
		example := ""
		if p.example != "" {
			example = fmt.Sprintf("[%s](%s.md#%s)", p.example, p.name, p.example)
		}
		fmt.Fprintf(&b, "| [`%s`](%s.md) | %s | %s | %s | %s | %s | %s |\n",
			p.name, p.name, cell(p.title), p.sector, cell(p.standard), cell(p.edition), topics(p.topic), example)
	}
	return b.String()
}

// topics shows topics as code.
func topics(s string) string {
	if !strings.Contains(s, "/") {
		return s
	}
	return "`" + strings.ReplaceAll(s, ", ", "`, `") + "`"
}
