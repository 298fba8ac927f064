package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The examples of docs/protocols/README.md in configuration and as a plug-in work as they are pasted, and give what the
// page says they give. (The one in Go is pasted by internal/tools/protocoldocs.)
func TestDocumentedProtocols(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocols/README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, n int) []byte {
		all := regexp.MustCompile("(?s)```"+kind+"\n(.*?)```").FindAllSubmatch(text, -1)
		if len(all) <= n {
			t.Fatalf("only %d blocks of %s", len(all), kind)
		}
		return all[n][1]
	}
	module, err := os.ReadFile("../../testdata/plugins/acme.wasm")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"noise.yaml": block("yaml", 0), "noise.json": block("json", 0),
		"acme.yaml": block("yaml", 1), "acme.wasm": module, "report": printed(t, block("sh", 1)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for _, c := range []struct {
		config, topic, payload string
		says                   []string
	}{
		{"noise.yaml", "noise/m17", "noise.json", []string{"city/m17", "61.5", "3.6"}},
		{"acme.yaml", "acme/roof/up", "report", []string{"acme/roof", "-5.23", "65.5", "3604"}},
	} {
		if !strings.Contains(string(text), "situ source check "+c.config+" --topic "+c.topic+" --payload "+c.payload+"\n") {
			t.Errorf("the page does not check %s", c.config)
		}
		var out bytes.Buffer
		check := sourceCheckCmd{File: c.config, Topic: c.topic, Payload: c.payload, Arrival: "2026-11-24T00:30:00Z"}
		if err := check.run(nil, &out); err != nil {
			t.Errorf("%s: %v\n%s", c.config, err, &out)
		}
		for _, want := range c.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %s in\n%s", c.config, want, &out)
			}
		}
	}
}

// printed is what printf makes of the octal escapes in a line of shell.
func printed(t *testing.T, line []byte) (b []byte) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\\([0-7]{3})`).FindAllSubmatch(line, -1) {
		c, err := strconv.ParseUint(string(m[1]), 8, 8)
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, byte(c))
	}
	return b
}
