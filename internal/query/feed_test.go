package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/livestate"
	"github.com/situ-city/situ/internal/registry"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// oneMessage is a log of one partition and one message, which declares a Thing.
type oneMessage struct{ bus.Log }

func (oneMessage) Partitions(context.Context) ([]int32, error) { return []int32{0}, nil }

func (oneMessage) Bounds(context.Context, int32) (int64, int64, error) { return 0, 1, nil }

func (oneMessage) Fetch(ctx context.Context, _ int32, from, _ int64, _ int, b *sensor.Batch) (int64, error) {
	if from > 0 {
		<-ctx.Done()
		return from, ctx.Err()
	}
	b.Add(sensor.Producer{Gateway: "g", Epoch: 1}, 1, &sensor.Message{Declarations: []sensor.Declaration{{Thing: &sensor.Thing{ID: "a/b", Auto: true}}}})
	return 1, nil
}

// said passes lines of log on.
type said chan string

func (s said) Write(line []byte) (int, error) {
	s <- string(line)
	return len(line), nil
}

// A registry that took no declarations (a full disk under SQLite, PostgreSQL away for longer than it is waited for) used to
// end the process, with the gateway that takes the readings.
func TestRegistryThatTakesNothingEndsNobody(t *testing.T) {
	cat, err := sensor.LoadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.Open(t.Context(), filepath.Join(t.TempDir(), "registry.sqlite"), registry.Options{Catalogue: cat})
	if err != nil {
		t.Fatal(err)
	}
	if err := reg.Close(); err != nil { // from here on it answers nothing
		t.Fatal(err)
	}
	lines := make(said, 1000)
	f := &Feed{Log: oneMessage{}, From: func(context.Context, int32) (int64, error) { return -1, nil }, Registry: reg, Catalog: cat,
		Live: livestate.New(Meta{Registry: reg, Catalogue: cat}, cat, time.Now()), Store: func() *store.Store { return nil },
		Logger: slog.New(slog.NewTextHandler(lines, nil))}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, false) }()
	limit := time.After(time.Minute)
	for wait := map[string]bool{"takes no declarations": true, "show the registry's changes": true}; len(wait) > 0; {
		select {
		case line := <-lines:
			for what := range wait {
				if strings.Contains(line, what) && strings.Contains(line, "try=2") {
					delete(wait, what)
				}
			}
		case err := <-done:
			t.Fatalf("it ended: %v", err)
		case <-limit:
			t.Fatalf("not said: %v", wait)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What the live state was to begin with may be freed between two looks; that used to end the process.
func TestFeedBeginsBehindWhatIsFreedMeanwhile(t *testing.T) {
	log := &freed{first: 5}
	f := &Feed{Log: log, From: func(context.Context, int32) (int64, error) { return 5, nil }}
	f.Hold = func(_ int32, offset int64) (func(int64), error) {
		if offset < 9 {
			log.first = 9
			return nil, bus.ErrOffset
		}
		return func(int64) {}, nil
	}
	if from, advance, err := f.start(t.Context(), 0); from != 9 || advance == nil || err != nil {
		t.Errorf("begins at %d, %v", from, err)
	}
	f.Hold = func(int32, int64) (func(int64), error) { return nil, bus.ErrOffset }
	if _, _, err := f.start(t.Context(), 0); !errors.Is(err, bus.ErrOffset) { // not freed: something is wrong
		t.Errorf("err %v", err)
	}
}

type freed struct {
	bus.Log
	first int64
}

func (l *freed) Bounds(context.Context, int32) (int64, int64, error) { return l.first, 100, nil }

// A partition that stands still used to be a line in the log alone, while the process said that it was ready.
func TestPartitionThatStandsStillIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &unreadable{left: 3}
		var told []string
		var b sensor.Batch
		next, err := fetchPatiently(t.Context(), log, slog.New(slog.DiscardHandler), 2, 7, 0, &b, func(part int32, why string) {
			told = append(told, fmt.Sprint(part, why))
		})
		if next != 8 || err != nil || log.left != 0 {
			t.Errorf("next %d, %v, %d times more", next, err, log.left)
		}
		if want := fmt.Sprint(int32(2), bus.ErrMessage.Error()); !slices.Equal(told, []string{want, want, want, "2"}) {
			t.Errorf("told %q", told)
		}
	})
}

// unreadable is a log whose next message can be read after so many tries.
type unreadable struct {
	bus.Log
	left int
}

func (l *unreadable) Fetch(_ context.Context, _ int32, from, _ int64, _ int, _ *sensor.Batch) (int64, error) {
	if l.left == 0 {
		return from + 1, nil
	}
	l.left--
	return from, bus.ErrMessage
}
