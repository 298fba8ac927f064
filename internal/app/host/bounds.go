package host

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/embedded/broker"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/pace"
	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// Bounds flags, of processes with spools.
type Bounds struct {
	SpoolHorizon   Horizons `name:"spool-horizon" help:"What a spool that fills gives up, in this order, and how long it is kept at least while something else can go; empty = nothing is given up. Government data never is." default:"social=24h,enterprise=72h" env:"SITU_SPOOL_HORIZON"`
	BackfillShare  float64  `name:"backfill-share" help:"Share of the rows that the backfill lane has while the live lane is behind; 1 = they are equal." default:"0.2" env:"SITU_BACKFILL_SHARE"`
	MaxConnections int      `name:"max-connections" help:"MQTT connections to the embedded front at once; one more is told that the server is busy. 0 = 10,000, with --memory-limit at most one for each 128 KiB of it." default:"0" env:"SITU_MAX_CONNECTIONS"`
	MemoryLimit
	Keep
}

// Keep flags, of processes that receive.
type Keep struct {
	KeepRaw []string `name:"keep-raw" help:"Topics of situ's own form whose payloads are kept as they come, for situ redecode, such as situ/v1/ecology/+/hj212 or situ/v1/#; other topics: keep: raw in their source." env:"SITU_KEEP_RAW"`
}

// preparedPart of the memory limit is for what the gateway prepares of Things, names and topics, at most its default.
const preparedPart = 8

// connectionBytes of the memory limit are for one connection: half of it is for its buffers, goroutines and what it prepares.
const connectionBytes = 128 << 10

// Connections is how many there may be at once.
func (b *Bounds) Connections() int {
	switch {
	case b.MaxConnections > 0:
		return b.MaxConnections
	case b.Bytes > 0:
		return int(min(b.Bytes/connectionBytes, broker.DefaultConnections))
	}
	return broker.DefaultConnections
}

// Prepared is how many bytes that is; 0 = the default.
func (b *Bounds) Prepared() int64 { return min(b.Bytes/preparedPart, gateway.DefaultPrepared) }

// Check names settings that cannot work.
func (b *Bounds) Check() error {
	if b.MaxConnections < 0 {
		return fmt.Errorf("%w: --max-connections %d is below 0", ErrConfig, b.MaxConnections)
	}
	if fit := b.Bytes / connectionBytes; b.Bytes > 0 && int64(b.MaxConnections) > fit {
		return fmt.Errorf("%w: --max-connections %d and --memory-limit %d disagree: there is room for %d connections", ErrConfig, b.MaxConnections, b.Bytes, fit)
	}
	if b.BackfillShare < 0 || b.BackfillShare > 1 {
		return fmt.Errorf("%w: --backfill-share %g is not between 0 and 1", ErrConfig, b.BackfillShare)
	}
	if err := gateway.CheckKeep(b.KeepRaw); err != nil {
		return fmt.Errorf("%w: --keep-raw: %w", ErrConfig, err)
	}
	return b.MemoryLimit.Check()
}

// Pace makes the share of backfill beside live, which is behind when more than a second's worth of a city waits.
func (b *Bounds) Pace(waiting func() int64) *pace.Share {
	share := b.BackfillShare
	if share == 0 {
		share = pace.DefaultShare
	}
	return pace.New(share, func() bool { return waiting() > liveBehind })
}

// liveBehind is how many messages wait in the live lane when it is said to be behind: what 14 million Things send in a
// second.
const liveBehind = 50_000

// Lanes is a pace between the partitions of the embedded bus, which are the lanes.
type Lanes struct{ Share *pace.Share }

// Wait holds the backfill lane.
func (l Lanes) Wait(ctx context.Context, part int32) error {
	if sensor.Lane(part) != sensor.Backfill {
		return nil
	}
	return l.Share.Wait(ctx)
}

// Moved notes rows of either lane.
func (l Lanes) Moved(part int32, rows int) {
	if sensor.Lane(part) == sensor.Backfill {
		l.Share.Second(rows)
		return
	}
	l.Share.First(rows)
}

// MemoryLimit flag, of every process that serves.
type MemoryLimit struct {
	Bytes int64 `name:"memory-limit" help:"Bytes of memory this process should stay within (not counting the ClickHouse engine, which has --engine-memory); 0 = as GOMEMLIMIT says." default:"0" env:"SITU_MEMORY_LIMIT"`
}

const (
	leastMemory = 256 << 20 // situ bench burst breaks a smaller one
	// programBytes of the limit are for what Go does not count: the pages of the program's own file that are in memory, which
	// cannot be more than the file has.
	programBytes = 64 << 20
)

// Check names a limit that cannot work.
func (m *MemoryLimit) Check() error {
	if m.Bytes != 0 && m.Bytes < leastMemory {
		return fmt.Errorf("%w: --memory-limit %d is below the least, %d", ErrConfig, m.Bytes, int64(leastMemory))
	}
	return nil
}

// Apply tells the Go runtime. What is above it is not refused: the queues have bounds of their own
// (docs/operations/bounds.md); the runtime collects the harder, the nearer it comes.
func (m *MemoryLimit) Apply(logger *slog.Logger) {
	if m.Bytes == 0 {
		return
	}
	// The program goes on allocating while its collector works: of what is left an eighth is for that.
	debug.SetMemoryLimit((m.Bytes - programBytes) / 8 * 7)
	logger.Info("memory limit", "component", "host", "bytes", m.Bytes)
}

// Horizons is a list of class=duration, as a flag and in the file.
type Horizons struct{ List []spool.Horizon }

// MarshalText gives the list as a flag has it.
func (h Horizons) MarshalText() ([]byte, error) {
	words := make([]string, len(h.List))
	for i, x := range h.List {
		words[i] = x.Class.String() + "=" + x.Keep.String()
	}
	return []byte(strings.Join(words, ",")), nil
}

// UnmarshalText reads it. Government cannot be given up, nor what is of no known class.
func (h *Horizons) UnmarshalText(b []byte) error {
	h.List = nil
	seen := map[sensor.OwnerClass]bool{}
	for word := range strings.SplitSeq(string(b), ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			continue
		}
		name, keep, ok := strings.Cut(word, "=")
		class, err := sensor.ParseOwnerClass(strings.TrimSpace(name))
		if !ok || err != nil || class != sensor.Social && class != sensor.Enterprise {
			return fmt.Errorf("%q: want social=DURATION or enterprise=DURATION", word)
		}
		d, err := ParseDays(strings.TrimSpace(keep))
		if err != nil || d < 0 {
			return fmt.Errorf("%q: want a duration such as 36h or 3d", word)
		}
		if seen[class] {
			return fmt.Errorf("%q: %s is there twice", word, class)
		}
		seen[class] = true
		h.List = append(h.List, spool.Horizon{Class: class, Keep: d})
	}
	return nil
}

// ParseDays is time.ParseDuration that knows days.
func ParseDays(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		d, err := time.ParseDuration(n + "h")
		return 24 * d, err
	}
	return time.ParseDuration(s)
}

// Holds gives the gateway what each lane's spool must leave alone.
func Holds(hold func(lane sensor.Lane) (from uint64, release func())) map[sensor.Lane]gateway.Hold {
	m := map[sensor.Lane]gateway.Hold{}
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		m[lane] = func() (uint64, func()) { return hold(lane) }
	}
	return m
}
