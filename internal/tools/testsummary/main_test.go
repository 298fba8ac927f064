package main

import (
	"strings"
	"testing"
)

// TestSummarise: what `go test -json` prints when one test passes, one is skipped, one fails, and one dies with the
// whole program.
func TestSummarise(t *testing.T) {
	const pkg = `"Package":"github.com/situ-city/situ/x"`
	line := func(parts ...string) string { return "{" + strings.Join(append(parts, pkg), ",") + "}\n" }
	said := func(test, text string) string {
		return line(`"Action":"output"`, `"Test":"`+test+`"`, `"Output":"`+text+`\n"`)
	}
	end := func(action, test string) string { return line(`"Action":"`+action+`"`, `"Test":"`+test+`"`) }
	good := said("TestGood", "quiet") + end("pass", "TestGood")
	skip := said("TestSkip", "    a_test.go:7: not run: no PostgreSQL") + end("skip", "TestSkip")
	bad := said("TestBad", "want 1") + end("fail", "TestBad")
	dies := said("TestDies", "panic: test timed out") + line(`"Action":"output"`, `"Output":"FAIL\n"`) + end("fail", "")
	for _, c := range []struct {
		name, in string
		noSkips  bool
		ok       bool
		want     []string
		never    string
	}{
		{"all pass", good + end("pass", ""), true, true, []string{"ok    x", "1 passed, 0 failed, 0 did not run"}, "quiet"},
		{"one is skipped", good + skip, false, true, []string{"not run: x TestSkip: not run: no PostgreSQL"}, "quiet"},
		{"none may be skipped", good + skip, true, false, []string{"1 did not run"}, "quiet"},
		{"one fails", good + bad, false, false, []string{"FAIL  x TestBad\nwant 1", "1 failed"}, "quiet"},
		{"the program dies", good + dies, false, false, []string{"NO END x TestDies\npanic: test timed out", "FAIL  x"}, "quiet"},
		{"nothing ran", "", false, false, []string{"0 passed"}, "FAIL"},
		{"it does not build", "x.go:1: syntax error\n" + end("build-fail", ""), false, false, []string{"x.go:1: syntax error"}, "ok "},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			if ok := summarise(strings.NewReader(c.in), &out, c.noSkips); ok != c.ok {
				t.Errorf("all is well: %v", ok)
			}
			for _, w := range c.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("lacks %q", w)
				}
			}
			if strings.Contains(out.String(), c.never) || t.Failed() {
				t.Errorf("printed %s", out.String())
			}
		})
	}
}
