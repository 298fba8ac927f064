// Command testsummary reads `go test -json` and says what ran, what failed (with its output), and what did not
// run and why. It exits 1 when anything failed, and when SITU_NO_SKIPS is set and anything was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// event is one line of test2json (`go doc test2json`).
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

type key struct{ pkg, test string }

func main() {
	if !summarise(os.Stdin, os.Stdout, os.Getenv("SITU_NO_SKIPS") != "") {
		os.Exit(1)
	}
}

// summarise tells whether all is well. noSkips: a test that did not run is a failure.
func summarise(from io.Reader, to io.Writer, noSkips bool) bool {
	var passed, failed int
	output := map[key][]string{} // of tests that have not ended
	var skipped []string
	in := bufio.NewScanner(from)
	in.Buffer(make([]byte, 1<<20), 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Fprintln(to, in.Text()) // a build error before the JSON begins
			continue
		}
		k := key{e.Package, e.Test}
		switch e.Action {
		case "output":
			output[k] = append(output[k], e.Output)
		case "build-output":
			fmt.Fprint(to, e.Output)
		case "build-fail":
			failed++
		case "pass":
			if e.Test == "" {
				fmt.Fprintf(to, "ok    %-60s %6.1fs\n", short(e.Package), e.Elapsed)
			} else {
				passed++
			}
			delete(output, k)
		case "skip":
			if e.Test != "" {
				skipped = append(skipped, short(e.Package)+" "+e.Test+": "+reason(output[k]))
			}
			delete(output, k)
		case "fail":
			failed++
			if e.Test == "" {
				unended(to, output, e.Package)
			}
			fmt.Fprintf(to, "FAIL  %s %s\n%s", short(e.Package), e.Test, strings.Join(output[k], ""))
			delete(output, k)
		}
	}
	sort.Strings(skipped)
	fmt.Fprintf(to, "\n%d passed, %d failed, %d did not run\n", passed, failed, len(skipped))
	for _, s := range skipped {
		fmt.Fprintln(to, "  not run:", s)
	}
	return failed == 0 && passed > 0 && in.Err() == nil && !(noSkips && len(skipped) > 0)
}

// unended prints what the tests said that were under way when their program died: a panic or a limit of time leaves
// its goroutines there.
func unended(to io.Writer, output map[key][]string, pkg string) {
	var tests []string
	for k := range output {
		if k.pkg == pkg && k.test != "" {
			tests = append(tests, k.test)
		}
	}
	sort.Strings(tests)
	for _, test := range tests {
		k := key{pkg, test}
		fmt.Fprintf(to, "NO END %s %s\n%s", short(pkg), test, strings.Join(output[k], ""))
		delete(output, k)
	}
}

func short(pkg string) string { return strings.TrimPrefix(pkg, "github.com/situ-city/situ/") }

// reason finds the text of t.Skip: the line behind "file.go:n: ".
func reason(lines []string) string {
	for _, l := range lines {
		if _, text, ok := strings.Cut(strings.TrimSpace(l), ".go:"); ok {
			if _, why, ok := strings.Cut(text, ": "); ok {
				return why
			}
		}
	}
	return "no reason given"
}
