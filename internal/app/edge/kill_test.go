package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/app/apptest"
	"github.com/situ-city/situ/internal/app/edge"
	"github.com/situ-city/situ/internal/embedded/engine/enginetest"
)

// childEnv makes the test binary one of the three processes: "name config".
const childEnv = "SITU_EDGE_TEST_CHILD"

func TestMain(m *testing.M) {
	if v := os.Getenv(childEnv); v != "" {
		os.Exit(child(v))
	}
	os.Exit(enginetest.Run(m))
}

func child(v string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	name, config, _ := strings.Cut(v, " ")
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	err := error(nil)
	switch name {
	case "gateway":
		err = runChild(config, func(c edge.Config) error { return edge.Run(ctx, c, logger, os.Stdout) })
	case "ingester":
		err = runChild(config, func(c app.IngesterConfig) error { return app.RunIngester(ctx, c, logger, os.Stdout) })
	case "query":
		err = runChild(config, func(c app.QueryConfig) error { return app.RunQuery(ctx, c, logger, os.Stdout) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runChild[C any](config string, run func(C) error) error {
	var c C
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	return run(c)
}

// victim is a process that is killed and started again.
type victim struct {
	name   string
	config any
	cmd    *exec.Cmd
	said   *apptest.Lines // since its last start
}

func (v *victim) start(t *testing.T) {
	t.Helper()
	b, err := json.Marshal(v.config)
	if err != nil {
		t.Fatal(err)
	}
	v.cmd = exec.Command(os.Args[0])
	v.cmd.Env = append(os.Environ(), childEnv+"="+v.name+" "+string(b))
	v.said = new(apptest.Lines)
	v.cmd.Stdout, v.cmd.Stderr = v.said, v.said
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// settled waits until an ingester has been given partitions. Kafka's double never forgets a member that dies while it
// waits for its group (Kafka does, after the session's time), so an ingester must not die just there.
func (v *victim) settled(t *testing.T) {
	t.Helper()
	apptest.Until(t, time.Minute, func() string {
		if v.name == "ingester" && !strings.Contains(v.said.String(), "partitions assigned") {
			return "the ingester has no partitions"
		}
		return ""
	})
}

func (v *victim) end(sig syscall.Signal) error {
	_ = v.cmd.Process.Signal(sig) // it may have ended already, which Wait tells
	return v.cmd.Wait()
}

// TestKill: processes die at any moment, alone and together. What was acknowledged is there once.
func TestKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	gateway, ingester, query := &victim{name: "gateway", config: w.gateway}, &victim{name: "ingester", config: w.ingester}, &victim{name: "query", config: w.query}
	for _, v := range []*victim{query, ingester, gateway} {
		v.start(t)
		defer func() {
			if err := v.end(syscall.SIGTERM); err != nil || t.Failed() {
				t.Errorf("%s ended with %v, and said since its last start\n%s", v.name, err, v.said)
			}
		}()
	}
	apptest.Until(t, time.Minute, func() string {
		c, err := apptest.Dial(w.gateway.MQTT, "first", "", "")
		if err != nil {
			return err.Error()
		}
		c.Disconnect(0)
		return ""
	})
	load := apptest.StartFlood(t, apptest.FloodOptions{Addr: w.gateway.MQTT})
	for _, set := range [][]*victim{{gateway}, {ingester}, {query}, {gateway, query}, {ingester, gateway}, {gateway}, {gateway, ingester, query}} {
		pause(t, 300+random.IntN(700))
		for _, v := range set {
			v.settled(t)
		}
		for _, v := range set {
			_ = v.end(syscall.SIGKILL) // says that it was killed
		}
		pause(t, random.IntN(200))
		for _, v := range set {
			v.start(t)
		}
	}
	load.Enough(t, 1000)
	acked, sent := load.End()
	apptest.Until(t, time.Minute, func() string {
		if _, ok := query.said.After("map    "); !ok {
			return "query does not listen"
		}
		return ""
	})
	w.server().WaitReady(t)
	apptest.Until(t, 2*time.Minute, func() string {
		there := map[int64]bool{}
		rows := w.server().SQL(t, "SELECT toInt64(result) AS n FROM history")
		for _, r := range rows {
			there[r.Int(t, "n")] = true
		}
		var missing []int64
		for _, n := range acked {
			if !there[n] {
				missing = append(missing, n)
			}
		}
		if len(rows) != len(there) || len(rows) > sent {
			t.Fatalf("%d rows of %d readings; %d were sent", len(rows), len(there), sent)
		}
		if len(missing) > 0 {
			return fmt.Sprintf("of %d acknowledged readings %d are not among the %d rows, from %d to %d", len(acked), len(missing), len(rows),
				slices.Min(missing), slices.Max(missing))
		}
		return ""
	})
	// history shows one row of an instant, however often it is stored; the balance counts rows.
	apptest.Until(t, 2*time.Minute, func() string {
		b := w.server().SQL(t, `SELECT toInt64(sum(missing)) AS missing, toInt64(sum(rows_missing)) AS lost, toInt64(sum(rows_doubled)) AS doubled,
			toInt64(sum(unjudged)) AS unjudged, toInt64(sum(messages)) AS messages FROM balance`)[0]
		if b.Int(t, "missing")+b.Int(t, "lost")+b.Int(t, "doubled")+b.Int(t, "unjudged") > 0 || b.Int(t, "messages") < int64(len(acked)) {
			return fmt.Sprintf("the balance is %v", b)
		}
		return ""
	})
	t.Logf("%d sent, %d acknowledged, each of these there once", sent, len(acked))
}

// pause lets a random time pass: where a process stands when it dies is to be any place.
func pause(t *testing.T, ms int) {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-t.Context().Done():
	}
}
