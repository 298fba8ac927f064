package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/peers"
	"github.com/situ-city/situ/internal/torture"
)

// What was acknowledged is there once, whatever is done to situ run and its store: a short torture of all kinds.
// SITU_TORTURE_ROUNDS makes it longer.
func TestTortureEmbedded(t *testing.T) {
	needEngine(t)
	tortured(t, torture.Config{World: torture.Embedded, Rounds: 6, Kills: 3, AtLeast: 30})
}

// The same with two gateways, two ingesters and query as processes, Apache Kafka and Mosquitto between them.
func TestTortureKafka(t *testing.T) {
	needEngine(t)
	tortured(t, torture.Config{World: torture.Kafka, Rounds: 4, Kills: 4, AtLeast: 30, Programs: programs(t)})
}

// programs gives the directory of all programs, building the missing ones when it is first asked for.
func programs(t *testing.T) string {
	t.Helper()
	dir := filepath.Dir(program(t))
	args := []string{"build", "-o", dir}
	if raceEnabled() {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "../gateway", "../ingester", "../query")...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}

func tortured(t *testing.T, cfg torture.Config) {
	t.Helper()
	if s := os.Getenv("SITU_TORTURE_ROUNDS"); s != "" {
		var err error
		if cfg.Rounds, err = strconv.Atoi(s); err != nil {
			t.Fatalf("SITU_TORTURE_ROUNDS=%q: %v", s, err)
		}
	}
	cfg.Situ = program(t)
	cfg.Seed, cfg.Dir, cfg.Keep = uint64(time.Now().UnixNano()), apptest.Dir(t), true
	cfg.Rate = 600
	report, err := torture.Run(t.Context(), cfg)
	if errors.Is(err, peers.ErrAbsent) {
		t.Skip(err)
	}
	if report != nil {
		var text strings.Builder
		report.Text(&text)
		t.Log("\n" + text.String())
	}
	if err != nil || report == nil || len(report.Failures) > 0 {
		t.Fatalf("%v\n%s", err, lastLines(filepath.Join(cfg.Dir, "*.log"), 60))
	}
	if report.Acked < 1000 || report.TotalKills() < cfg.AtLeast {
		t.Errorf("%d messages acknowledged, %d kills: that was no torture", report.Acked, report.TotalKills())
	}
	logs, _ := filepath.Glob(filepath.Join(cfg.Dir, "*.log"))
	for _, path := range logs {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), "WARNING: DATA RACE") {
			t.Errorf("data race in %s:\n%s", filepath.Base(path), b)
		}
	}
}

// lastLines of every file that fits the pattern.
func lastLines(pattern string, n int) string {
	var all strings.Builder
	files, _ := filepath.Glob(pattern)
	for _, path := range files {
		if b, err := os.ReadFile(path); err == nil {
			all.WriteString("---- " + filepath.Base(path) + "\n" + tail(string(b), n))
		}
	}
	return all.String()
}

// pause lets a random time pass: the instant of the kill is the fault that is tried.
func pause(random *rand.Rand, most int) {
	<-time.After(time.Duration(random.IntN(most)) * time.Millisecond)
}
