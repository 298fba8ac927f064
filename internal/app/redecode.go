package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/situ-city/situ/internal/decode/all"
	"github.com/situ-city/situ/internal/failpoint"
	"github.com/situ-city/situ/internal/gateway"
	"github.com/situ-city/situ/internal/normalize"
	"github.com/situ-city/situ/internal/query"
	"github.com/situ-city/situ/internal/redecode"
	"github.com/situ-city/situ/internal/store"
	"github.com/situ-city/situ/pkg/sensor"
)

// newerPlugins begins the names of directories with the plug-ins of requests, in the data directory.
const newerPlugins = "redecode-"

// redecoder makes what reads kept payloads again, one run at a time.
func (p *process) redecoder() *redecode.Redecoder {
	left, err := filepath.Glob(filepath.Join(p.cfg.Data, newerPlugins+"*")) // of a process that was killed
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		p.logger.Warn("plug-ins of requests that are over stay where they are", "component", "redecode", "err", err)
	}
	return redecode.New(redecode.Config{
		Declare: func(ctx context.Context, d []sensor.Declaration) error {
			_, err := p.registry.Declare(ctx, d)
			return err
		},
		Live:   func(rows *sensor.Batch) { p.live.Revise(rows, failpoint.Now()) },
		Now:    failpoint.Now,
		Logger: p.logger,
	})
}

// redecode reads them with this process's registry, by the sources that hold now or by those of a request.
func (p *process) redecode(r *redecode.Redecoder) query.Redecode {
	return func(ctx context.Context, with *query.RedecodeWith, o redecode.Options, tell func(*redecode.Report) error) (*redecode.Report, error) {
		s := p.store.Load()
		if s == nil {
			return nil, store.ErrUnavailable
		}
		sources := *p.sources.Load()
		if with != nil {
			dir, err := os.MkdirTemp(p.cfg.Data, newerPlugins)
			if err != nil {
				return nil, err
			}
			defer os.RemoveAll(dir)
			if sources, err = NewerSources(with, dir); err != nil {
				return nil, fmt.Errorf("%w: %w", query.ErrRedecode, err)
			}
		}
		reader, err := gateway.NewReread(sources, all.Protocols(), p.rereadNormalizer())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", query.ErrRedecode, err)
		}
		return r.Run(ctx, s, reader, o, tell)
	}
}

// rereadNormalizer judges values by those before them, as the one of a connection does. It declares by itself where a replay
// does.
func (p *process) rereadNormalizer() *normalize.Normalizer {
	return normalize.New(normalize.Options{Catalogue: p.catalogue, Divisions: p.divisions, AutoRegister: p.gateway != nil && p.cfg.autoRegister(),
		Ledger: func() normalize.Ledger { return p.registry.Snapshot() }})
}

// NewerSources are those of a request, with their plug-ins as files in dir.
func NewerSources(with *query.RedecodeWith, dir string) ([]gateway.Source, error) {
	var f struct {
		Sources []gateway.Source `yaml:"sources"`
	}
	dec := yaml.NewDecoder(strings.NewReader(with.Config))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for i := range f.Sources {
		file := &f.Sources[i].Settings.Plugin.File
		if *file == "" {
			continue
		}
		code, ok := with.Plugins[*file]
		if !ok {
			return nil, fmt.Errorf("source %q: its plug-in %s did not come with the configuration", f.Sources[i].Name, *file)
		}
		*file = filepath.Join(dir, strconv.Itoa(i)+".wasm")
		if err := os.WriteFile(*file, code, 0o600); err != nil {
			return nil, err
		}
	}
	return f.Sources, nil
}

// RedecodeWith makes of a configuration file what a server is asked to read payloads by: its sources without their passwords,
// and their plug-ins.
func RedecodeWith(path string) (*query.RedecodeWith, error) {
	f, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	with := &query.RedecodeWith{Plugins: map[string][]byte{}}
	sources := slices.Clone(f.Sources)
	for i := range sources {
		s := &sources[i]
		s.Password, s.PassFile = "", ""
		if file := s.Settings.Plugin.File; file != "" {
			if with.Plugins[file], err = os.ReadFile(file); err != nil {
				return nil, fmt.Errorf("%w: source %q: plug-in: %w", ErrConfig, s.Name, err)
			}
		}
	}
	text, err := yaml.Marshal(map[string]any{"sources": sources})
	with.Config = string(text)
	return with, err
}

// finishRedecode has the roll-ups follow what was read again before this process died the last time.
func (p *process) finishRedecode(ctx context.Context, r *redecode.Redecoder) error {
	s, err := p.waitStore(ctx)
	if err != nil {
		return nil // it is told to stop
	}
	if err := r.Finish(ctx, s); err != nil && ctx.Err() == nil {
		p.logger.Warn("what was read again before is finished with the next redecode", "component", "redecode", "err", err)
	}
	return nil
}
