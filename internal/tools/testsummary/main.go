// Command testsummary reads `go test -json` and says what ran, what failed (with its output), and what did not
// run and why. It exits 1 when anything failed, and when SITU_NO_SKIPS is set and anything was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
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
	var passed, failed int
	output := map[key][]string{}
	var skipped []string
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // a build error before the JSON begins
			continue
		}
		k := key{e.Package, e.Test}
		switch e.Action {
		case "output":
			output[k] = append(output[k], e.Output)
		case "build-output":
			fmt.Print(e.Output)
		case "build-fail":
			failed++
		case "pass":
			if e.Test == "" {
				fmt.Printf("ok    %-60s %6.1fs\n", short(e.Package), e.Elapsed)
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
			fmt.Printf("FAIL  %s %s\n%s", short(e.Package), e.Test, strings.Join(output[k], ""))
			delete(output, k)
		}
	}
	sort.Strings(skipped)
	fmt.Printf("\n%d passed, %d failed, %d did not run\n", passed, failed, len(skipped))
	for _, s := range skipped {
		fmt.Println("  not run:", s)
	}
	if failed > 0 || in.Err() != nil || (os.Getenv("SITU_NO_SKIPS") != "" && len(skipped) > 0) {
		os.Exit(1)
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
