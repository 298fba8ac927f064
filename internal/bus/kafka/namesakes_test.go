package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/pkg/sensor"
)

// Two gateways of one name that were started at the same second: what the second one sends is dropped as a repeat. That
// used to be told by nobody.
func TestTwoSpoolsUnderOneNameAreSaid(t *testing.T) {
	c := cluster(t)
	var out bytes.Buffer
	b, err := Open(Config{Brokers: c.ListenAddrs(), Topic: testTopic, Timeout: 5 * time.Second, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := sensor.Producer{Gateway: "twin", Epoch: 7}
	m := bustest.Messages(1, 1)[0]
	var part int32
	publish := func(spool byte, seq uint64) {
		var batch sensor.Batch
		batch.Add(p, seq, &m)
		if err := b.Publish(t.Context(), bus.LogID{spool}, p, seq, seq, &batch); err != nil {
			t.Fatal(err)
		}
		part = PartitionOf(p, 4)
	}
	read := func(want int64) {
		var batch sensor.Batch
		for at := int64(0); at < want; {
			next, err := b.Fetch(t.Context(), part, at, 0, 0, &batch)
			if err != nil {
				t.Fatal(err)
			}
			at = next
		}
	}
	publish(1, 1)
	publish(1, 2)
	read(2)
	if s := out.String(); strings.Contains(s, "two spools") {
		t.Errorf("one spool, and it says %s", s)
	}
	publish(2, 1)
	publish(2, 2)
	read(4)
	if n := strings.Count(out.String(), "two spools have one gateway name"); n != 1 || !strings.Contains(out.String(), "gateway=twin epoch=7") {
		t.Errorf("said %d times: %s", n, &out)
	}
}
