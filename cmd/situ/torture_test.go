package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/torture"
)

// What was acknowledged is there once, whatever is done to situ run and its store: a short torture of all kinds.
// SITU_TORTURE_ROUNDS makes it longer.
func TestTortureEmbedded(t *testing.T) {
	needEngine(t)
	tortured(t, torture.Config{World: torture.Embedded, Rounds: 9})
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
	if report != nil {
		var text strings.Builder
		report.Text(&text)
		t.Log("\n" + text.String())
	}
	if err != nil || report == nil || len(report.Failures) > 0 {
		said, _ := exec.Command("sh", "-c", "tail -n 60 "+filepath.Join(cfg.Dir, "torture.log")+" "+filepath.Join(cfg.Dir, "situ.log")).CombinedOutput()
		t.Fatalf("%v\n%s", err, said)
	}
	if report.Acked < 1000 || report.TotalKills() < cfg.Rounds {
		t.Errorf("%d messages acknowledged, %d kills: that was no torture", report.Acked, report.TotalKills())
	}
	logs, _ := filepath.Glob(filepath.Join(cfg.Dir, "*.log"))
	for _, path := range logs {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), "WARNING: DATA RACE") {
			t.Errorf("data race in %s:\n%s", filepath.Base(path), b)
		}
	}
}

// pause lets a random time pass: the instant of the kill is the fault that is tried.
func pause(random *rand.Rand, most int) {
	<-time.After(time.Duration(random.IntN(most)) * time.Millisecond)
}
