package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Ten times the usual rate, clients that do not read, announce what they do not send or say nothing, and a store that
// sleeps: both processes stay within what their settings say, and all that was acknowledged is in SELECT once. The
// program is built without the race detector, which takes several times the memory.
func TestBurstStaysWithinItsBound(t *testing.T) {
	needEngine(t)
	situ := filepath.Join(t.TempDir(), "situ")
	if out, err := exec.Command("go", "build", "-o", situ, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), situ, "bench", "burst", "--phase", "2s", "--rate", "1500", "--connections", "100", "--max-connections", "500",
		"--deaf", "10", "--large", "150", "--memory-limit", "335544320", "--engine-memory", "536870912", "--spool-bytes", "1073741824")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
