package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/situ-city/situ/internal/decode"
)

const (
	protocol = "wasm"
	abi      = 1

	// Defaults and bounds of decode.Plugin.
	defaultMemory = 16 // MiB
	maxMemory     = 256
	defaultTime   = 100 * time.Millisecond
	maxTime       = 10 * time.Second

	maxModule = 16 << 20 // bytes of a file
	maxKept   = 4        // contents of one file, so that those who use an older one go on while it is exchanged
	pages     = 1 << 20 / 65536
)

// ErrModule: the file is no decoder of this ABI.
var ErrModule = errors.New("not a situ decoder")

// Protocol is this package's entry in the list of protocols. What it compiles is kept as long as the list is.
func Protocol() decode.Protocol {
	l := &library{plugins: map[decode.Plugin]*plugin{}}
	return decode.Protocol{Name: protocol, New: func(s decode.Settings) (decode.Decoder, error) { return l.decoder(s.Plugin) }}
}

// library holds the modules that sources asked for.
type library struct {
	mu      sync.Mutex // guards what follows
	plugins map[decode.Plugin]*plugin
	uses    uint64
}

// Pin writes down the hash of what the file holds now, unless the plug-in says one: who was checked with this content goes on
// with it, whatever becomes of the file.
func Pin(p *decode.Plugin) error {
	if p.File == "" || p.SHA256 != "" {
		return nil
	}
	code, err := read(p.File)
	if err != nil {
		return fmt.Errorf("plugin: %w", err)
	}
	sum := sha256.Sum256(code)
	p.SHA256 = hex.EncodeToString(sum[:])
	return nil
}

// known finds a module that is compiled already.
func (l *library) known(want decode.Plugin) (*plugin, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.plugins[want]
	if ok {
		l.uses++
		p.used = l.uses
	}
	return p, ok
}

// keep adds a module, and lets go the one of the same file that was not asked for for the longest; decoders that have it
// keep it as long as they live.
func (l *library) keep(want decode.Plugin, p *plugin) {
	l.uses++
	p.used, l.plugins[want] = l.uses, p
	n, oldest := 0, want
	for old, q := range l.plugins {
		if old.File == want.File {
			if n++; q.used < l.plugins[oldest].used {
				oldest = old
			}
		}
	}
	if n > maxKept {
		delete(l.plugins, oldest)
	}
}

// decoder gives one that shares its module with all that have the same settings and the same content.
func (l *library) decoder(want decode.Plugin) (*Decoder, error) {
	if want.Memory == 0 {
		want.Memory = defaultMemory
	}
	if want.Time == 0 {
		want.Time = defaultTime
	}
	switch {
	case want.File == "":
		return nil, fmt.Errorf("protocol wasm wants plugin: {file: ...}: %w", ErrModule)
	case want.Memory < 1 || want.Memory > maxMemory:
		return nil, fmt.Errorf("plugin %s: memory %d MiB, want 1 to %d", want.File, want.Memory, maxMemory)
	case want.Time < time.Millisecond || want.Time > maxTime:
		return nil, fmt.Errorf("plugin %s: time %s, want 1ms to %s", want.File, want.Time, maxTime)
	}
	want.SHA256 = strings.ToLower(want.SHA256)
	if p, ok := l.known(want); ok {
		return &Decoder{p: p}, nil
	}
	code, err := read(want.File)
	if err != nil {
		return nil, fmt.Errorf("plugin: %w", err)
	}
	sum := sha256.Sum256(code)
	hash := hex.EncodeToString(sum[:])
	if want.SHA256 != "" && !strings.EqualFold(want.SHA256, hash) {
		return nil, fmt.Errorf("plugin %s has SHA-256 %s, the source says %s: bring back the file that was tested, or test this one "+
			"(situ source check) and write its hash down: %w", want.File, hash, want.SHA256, ErrModule)
	}
	want.SHA256 = hash
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.plugins[want]
	if p == nil {
		if p, err = compile(code, want); err != nil {
			return nil, fmt.Errorf("plugin %s: %w", want.File, err)
		}
		l.keep(want, p)
	}
	return &Decoder{p: p}, nil
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxModule {
		return nil, fmt.Errorf("%s has %d bytes, at most %d: %w", file, info.Size(), maxModule, ErrModule)
	}
	return os.ReadFile(file)
}

// plugin is a compiled module and its instances.
type plugin struct {
	name    string // in errors: wasm and the first digits of its hash
	time    time.Duration
	used    uint64 // of library.uses, when it was asked for last
	runtime wazero.Runtime
	module  wazero.CompiledModule
	idle    chan *instance // nil: one that is to be made
}

func compile(code []byte, want decode.Plugin) (*plugin, error) {
	ctx := context.Background()
	cfg := wazero.NewRuntimeConfig().WithCloseOnContextDone(true).WithMemoryLimitPages(uint32(want.Memory * pages))
	p := &plugin{name: protocol + " " + want.SHA256[:12], time: want.Time, runtime: wazero.NewRuntimeWithConfig(ctx, cfg)}
	p.idle = make(chan *instance, runtime.GOMAXPROCS(0))
	for range cap(p.idle) {
		p.idle <- nil
	}
	err := p.host(ctx)
	if err == nil {
		p.module, err = p.runtime.CompileModule(ctx, code)
	}
	if err == nil {
		err = exports(p.module)
	}
	if err == nil { // so that what would fail with the first payload is said now
		in := <-p.idle
		in, err = p.instance()
		p.idle <- in
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrModule, err), p.runtime.Close(ctx))
	}
	return p, nil
}

// exports checks what the module must have, and that it wants nothing but what a decoder may have.
func exports(m wazero.CompiledModule) error {
	for _, f := range m.ImportedFunctions() {
		if module, name, _ := f.Import(); module != "situ" {
			return fmt.Errorf("it wants %s of %s; a decoder is given the functions of \"situ\" and nothing else: no WASI, no clock, no files", name, module)
		}
	}
	if _, ok := m.ExportedMemories()["memory"]; !ok {
		return errors.New("it exports no memory")
	}
	i32 := api.ValueTypeI32
	for _, want := range []struct {
		name            string
		params, results []api.ValueType
	}{
		{"situ_abi", nil, []api.ValueType{i32}},
		{"input", []api.ValueType{i32}, []api.ValueType{i32}},
		{"decode", []api.ValueType{i32, i32}, nil},
	} {
		f, ok := m.ExportedFunctions()[want.name]
		if !ok || string(f.ParamTypes()) != string(want.params) || string(f.ResultTypes()) != string(want.results) {
			return fmt.Errorf("it exports no function %s as ABI %d has it", want.name, abi)
		}
	}
	return nil
}

// instance is one that decodes one payload at a time.
type instance struct {
	module        api.Module
	input, decode api.Function
	stack         [2]uint64
	call          // the payload in hand
}

// instance makes one.
func (p *plugin) instance() (*instance, error) {
	in := &instance{}
	ctx, cancel := p.within(in)
	defer cancel()
	var err error
	in.module, err = p.runtime.InstantiateModule(ctx, p.module, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return nil, err
	}
	got, err := in.module.ExportedFunction("situ_abi").Call(ctx)
	if err == nil && int32(got[0]) != abi {
		err = fmt.Errorf("it speaks ABI %d, this situ %d", int32(got[0]), abi)
	}
	in.input, in.decode = in.module.ExportedFunction("input"), in.module.ExportedFunction("decode")
	return in, err
}

// inside carries the instance to the functions that it calls.
type inside struct{}

// within is the context of one call: its time, and whose it is.
func (p *plugin) within(in *instance) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(context.Background(), inside{}, in), p.time)
}
