package host

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/situ-city/situ/internal/gateway"
)

// ReloadEvery is how often the configuration file is looked at.
const ReloadEvery = 2 * time.Second

// Reloader gives a process the sources of its configuration file again when that changes. A file that cannot be used
// changes nothing: the sources of before go on, and log and metrics say so. Flags in the file are read at the start only.
//
// The file is looked at every two seconds, and taken when two looks in a row find the same new content, so that one that
// is half written is not; or at once after SIGHUP. So are the plug-ins that its sources name.
type Reloader struct {
	File    *File // as it was read at the start
	Apply   func(context.Context, []gateway.Source) error
	Logger  *slog.Logger
	Every   time.Duration // 0 = ReloadEvery
	reloads *prometheus.CounterVec
	refused prometheus.Gauge

	now   *File                  // what holds
	seen  os.FileInfo            // when it was last looked at
	parts map[string]os.FileInfo // the same of the files that its sources are made of
	fresh bool                   // what was seen last has not been judged yet
}

// Register registers the metrics.
func (r *Reloader) Register(reg prometheus.Registerer) {
	r.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "situ_config_reloads_total",
		Help: "Changed configuration files, by result: applied, or refused."}, []string{"result"})
	r.refused = prometheus.NewGauge(prometheus.GaugeOpts{Name: "situ_config_refused",
		Help: "1 while the configuration file on disk cannot be used and the one before holds."})
	reg.MustRegister(r.reloads, r.refused)
}

// Run watches until ctx ends.
func (r *Reloader) Run(ctx context.Context) error {
	if r.File == nil || r.File.path == "" {
		<-ctx.Done()
		return nil
	}
	if r.Every == 0 {
		r.Every = ReloadEvery
	}
	r.now, r.fresh = r.File, true // it may have changed between the start and now
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(r.Every)
	defer tick.Stop()
	for {
		select {
		case <-hup:
			r.Logger.Info("SIGHUP: reading the configuration file again", "file", r.File.path)
			r.read(ctx)
		case <-tick.C:
			if r.settled() {
				r.read(ctx)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// settled reports whether the file is another one than was judged last, and has stayed as it is for one look.
func (r *Reloader) settled() bool {
	info, err := os.Stat(r.File.path)
	if err != nil {
		if r.seen != nil {
			r.Logger.Warn("the configuration file is gone; its sources go on", "file", r.File.path, "err", err)
		}
		r.seen = nil
		return false
	}
	moved := !same(info, r.seen)
	r.seen = info
	parts := make(map[string]os.FileInfo, len(r.now.beside))
	for _, path := range r.now.beside {
		part, err := os.Stat(path)
		if err != nil {
			part = nil // gone: it counts as another one
		}
		moved = moved || !same(part, r.parts[path])
		parts[path] = part
	}
	r.parts = parts
	if moved {
		r.fresh = true
		return false
	}
	return r.fresh
}

// same reports whether a file was not touched between two looks.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// read takes the file as it is now.
func (r *Reloader) read(ctx context.Context) {
	r.fresh = false
	f, err := ReadFile(r.File.path)
	if err == nil && f.sum == r.now.sum {
		r.refused.Set(0)
		return
	}
	if err == nil {
		err = r.Apply(ctx, f.Sources)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.refused.Set(1)
		r.reloads.WithLabelValues("refused").Inc()
		r.Logger.Error("the changed configuration is refused; the one before holds", "file", r.File.path, "err", err)
		return
	}
	r.refused.Set(0)
	r.reloads.WithLabelValues("applied").Inc()
	r.Logger.Info("the changed configuration holds", "file", r.File.path, "sources", len(f.Sources))
	if flags := changed(r.File.Flags, f.Flags); len(flags) > 0 {
		r.Logger.Warn("these settings of the file take effect at the next start", "settings", flags)
	}
	r.now = f
}

// changed names what is not the same in both.
func changed(a, b map[string]any) (names []string) {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	for name := range all {
		if fmt.Sprint(a[name]) != fmt.Sprint(b[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
