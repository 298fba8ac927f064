package wasm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"github.com/situ-city/situ/internal/decode"
	"github.com/situ-city/situ/pkg/sensor"
)

// Decoder implements decode.Decoder and decode.Topical with a module. Use one a connection, from one goroutine.
type Decoder struct {
	p     *plugin
	names decode.Interner
	empty sensor.Reason
}

var _ decode.Topical = (*Decoder)(nil)

// Module names the module and its version: the first digits of its hash.
func (d *Decoder) Module() string { return d.p.name }

// Empty implements decode.Emptier.
func (d *Decoder) Empty() sensor.Reason { return d.empty }

// Decode implements decode.Decoder: the topic is not known.
func (d *Decoder) Decode(dst []decode.Reading, payload []byte) ([]decode.Reading, error) {
	return d.DecodeOn(dst, "", payload)
}

// DecodeOn implements decode.Topical.
func (d *Decoder) DecodeOn(dst []decode.Reading, topic string, payload []byte) ([]decode.Reading, error) {
	d.empty = sensor.ReasonNoValues
	if len(payload) == 0 {
		return dst, d.error(0, decode.ErrEmpty)
	}
	in := <-d.p.idle
	defer func() { d.p.idle <- in }()
	if in == nil {
		var err error
		if in, err = d.p.instance(); err != nil {
			in = nil
			return dst, d.error(-1, fmt.Errorf("it cannot be started: %.200w: %w", err, decode.ErrPlugin))
		}
	}
	in.call = call{module: d.p.name, names: &d.names, out: dst, first: len(dst), most: min(len(payload), decode.MaxReadings)}
	err := in.run(d.p, topic, payload)
	out, failed, empty := in.out, in.failed, in.empty
	in.call = call{} // keep nothing of the caller's
	if err != nil {
		_ = in.module.Close(inBackground) // of a module that has trapped there is nothing to hear
		in = nil
		return dst, d.error(-1, err)
	}
	if failed != nil {
		failed.Protocol = d.p.name
		return dst, failed
	}
	if empty != "" {
		d.empty = empty
	}
	return out, nil
}

func (d *Decoder) error(at int, err error) error {
	return &decode.Error{Protocol: d.p.name, Offset: at, Err: err}
}

// run writes topic and payload where the module wants them, and has it decode.
func (in *instance) run(p *plugin, topic string, payload []byte) error {
	ctx, cancel := p.within(in)
	defer cancel()
	in.stack[0] = uint64(len(topic) + len(payload))
	if err := in.input.CallWithStack(ctx, in.stack[:]); err != nil {
		return p.explain(err)
	}
	at := uint32(in.stack[0])
	if at == 0 {
		in.failed = &decode.Error{Offset: -1, Err: fmt.Errorf("it takes no %d bytes: %w", len(topic)+len(payload), decode.ErrBound)}
		return nil
	}
	memory := in.module.Memory()
	if !memory.WriteString(at, topic) || !memory.Write(at+uint32(len(topic)), payload) {
		return fmt.Errorf("its input is beyond its memory: %w", decode.ErrPlugin)
	}
	in.stack[0], in.stack[1] = uint64(len(topic)), uint64(len(payload))
	if err := in.decode.CallWithStack(ctx, in.stack[:]); err != nil {
		return p.explain(err)
	}
	return in.broken
}

// explain says in one line why a module stopped.
func (p *plugin) explain(err error) error {
	var exit *sys.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == sys.ExitCodeDeadlineExceeded {
		return fmt.Errorf("it takes longer than %s for one payload (plugin.time): %w", p.time, decode.ErrPlugin)
	}
	why, _, _ := strings.Cut(err.Error(), "\n") // what follows is the module's stack
	return fmt.Errorf("it stopped: %s: %w", why, decode.ErrPlugin)
}
