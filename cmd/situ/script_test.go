package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/embedded/engine"
)

// The command line, as people type it: testdata/script/*.txt. Beside testscript's own commands there are
//
//	serve [flags]            starts situ run for this script and points SITU_URL, SITU_BROKER, SITU_ADMIN_KEY, MQTT_PORT and MQTT_PASSWORD at it
//	publish topic payload    one reading, acknowledged
//	device topic payload     the same under the user and password that situ printed
//	letter                   sets LETTER to the name of the newest open dead letter
//	exits code prog [args]   runs a program that must end with this code
//	until regexp prog [args] runs a program again and again until its standard output matches
//
// A script that needs the ClickHouse engine begins with [!engine] skip.
func TestScripts(t *testing.T) {
	bin := filepath.Dir(program(t))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			if cache, err := os.UserCacheDir(); err == nil {
				e.Setenv("XDG_CACHE_HOME", cache)
			}
			if haveEngine() {
				e.Setenv("SITU_ENGINE", os.Getenv("SITU_ENGINE"))
			}
			e.Values[testKey{}] = e.T().(testing.TB)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "engine" {
				return haveEngine(), nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serve, "publish": publish, "exits": exits, "until": until,
			"device": device, "letter": letterName},
	})
}

// testKey finds the test that runs a script.
type testKey struct{}

// haveEngine reports whether there is an engine, and says where it is to the programs that scripts start.
func haveEngine() bool {
	path, err := engine.Find("")
	return err == nil && os.Setenv("SITU_ENGINE", path) == nil
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("serve cannot be negated")
	}
	t := ts.Value(testKey{}).(testing.TB)
	l := start(t, apptest.Dir(t), args...)
	l.WaitReady(t)
	ts.Setenv("SITU_URL", l.URL)
	ts.Setenv("SITU_BROKER", "tcp://"+l.MQTT)
	_, port, _ := strings.Cut(l.MQTT, ":")
	ts.Setenv("MQTT_PORT", port)
	if printed, ok := l.out.After("MQTT user and password (shown once):"); ok {
		_, password, _ := strings.Cut(printed, "  ")
		ts.Setenv("MQTT_PASSWORD", password)
	}
	ts.Setenv("SITU_ADMIN_KEY", apptest.Key)
}

func publish(ts *testscript.TestScript, neg bool, args []string) {
	send(ts, neg, args, "", "")
}

func device(ts *testscript.TestScript, neg bool, args []string) {
	send(ts, neg, args, "device", ts.Getenv("MQTT_PASSWORD"))
}

func send(ts *testscript.TestScript, neg bool, args []string, user, password string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: publish|device topic payload")
	}
	c, err := apptest.Dial(strings.TrimPrefix(ts.Getenv("SITU_BROKER"), "tcp://"), "script", user, password)
	ts.Check(err)
	defer c.Disconnect(50)
	tok := c.Publish(args[0], 1, false, args[1])
	if !tok.WaitTimeout(apptest.AckTimeout) {
		ts.Fatalf("no acknowledgement")
	}
	ts.Check(tok.Error())
}

func letterName(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("situ", "deadletters", "--limit", "1"))
	fields := strings.Fields(ts.ReadFile("stdout"))
	if neg || len(fields) < 2 {
		ts.Fatalf("no dead letter")
	}
	ts.Setenv("LETTER", fields[1])
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case err == nil && want != 0:
		ts.Fatalf("exit code 0, want %d", want)
	case errors.As(err, &exit) && exit.ExitCode() != want:
		ts.Fatalf("exit code %d, want %d", exit.ExitCode(), want)
	case err != nil && exit == nil:
		ts.Fatalf("%v", err)
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until regexp program [args]")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	over := time.After(30 * time.Second)
	for {
		_ = ts.Exec(args[1], args[2:]...) // what it says decides
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-over:
			ts.Fatalf("after 30 s the output does not match")
		}
	}
}

// Every example in a command's help can be typed as it stands.
func TestHelpExamplesParse(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"things.csv", "situ.yaml", "loops.csv.gz", "stations.csv"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	examples := 0
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+( [a-z]+)?)\b`).FindAllStringSubmatch(help("--help"), -1) {
		_, text, _ := strings.Cut(help(append(strings.Fields(m[1]), "--help")...), "Example")
		text, _, _ = strings.Cut(text, "\nFlags:")
		text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, "")
		for _, line := range regexp.MustCompile(`(?m)^ {2,}.*?\bsitu ([a-z].*)$`).FindAllStringSubmatch(text, -1) {
			examples++
			if err := parses(words(line[1])); err != nil {
				t.Errorf("the help of %s shows an example that does not parse: situ %s\n%v", m[1], line[1], err)
			}
		}
	}
	if examples < 10 {
		t.Errorf("only %d examples found", examples)
	}
}

// words splits an example as a shell would: quotes, and an end at a pipe, a redirection or the explanation beside it.
func words(line string) (list []string) {
	line, _, _ = strings.Cut(line, "   ")
	for _, m := range regexp.MustCompile(`"([^"]*)"|'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		switch m[3] {
		case "|", "<", ">":
			return list
		}
		list = append(list, m[1]+m[2]+m[3])
	}
	return list
}

// help is what situ prints for a command line that asks for help.
func help(args ...string) string {
	var out bytes.Buffer
	var c cli
	_, _ = newParser(&c, kong.Writers(&out, &out), kong.Exit(func(int) {})).Parse(args) // without exit it goes on and misses something
	return out.String()
}

func parses(args []string) error {
	var c cli
	res, err := app.Resolver(args)
	if err != nil {
		return err
	}
	_, err = newParser(&c, kong.Resolvers(res), kong.Exit(func(int) {})).Parse(args)
	return err
}
