package mapped

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/situ-city/situ/internal/decode"
)

// MaxSteps is how many elements the loops of all expressions may look at in one payload; each evaluation is at least one.
const MaxSteps = 1 << 20

// memoryBudget is how many elements the machine may put into arrays of its own in one evaluation.
const memoryBudget = 100_000

// path is a fetch of the form item.a["b"][0]: most of what a configuration asks, done without the machine.
type path struct {
	root  string
	steps []step
}

// step is a member's name, or an index when the name is empty.
type step struct {
	name  string
	index int
	named bool
}

func (p path) String() string {
	var b strings.Builder
	b.WriteString(p.root)
	for _, s := range p.steps {
		if s.named {
			b.WriteString("." + s.name)
		} else {
			fmt.Fprintf(&b, "[%d]", s.index)
		}
	}
	return b.String()
}

// pathOf recognises one. With and without '?' it means the same here: what is not there is null.
func pathOf(n ast.Node) (path, bool) {
	switch n := n.(type) {
	case *ast.ChainNode:
		return pathOf(n.Node)
	case *ast.IdentifierNode:
		switch n.Value {
		case "payload", "item", "topic", "part", "index":
			return path{root: n.Value}, true
		}
	case *ast.MemberNode:
		p, ok := pathOf(n.Node)
		if !ok || n.Method {
			return path{}, false
		}
		switch prop := n.Property.(type) {
		case *ast.StringNode:
			p.steps = append(p.steps, step{name: prop.Value, named: true})
			return p, true
		case *ast.IntegerNode:
			p.steps = append(p.steps, step{index: prop.Value})
			return p, true
		case *ast.UnaryNode:
			if i, ok := prop.Node.(*ast.IntegerNode); ok && prop.Operator == "-" {
				p.steps = append(p.steps, step{index: -i.Value})
				return p, true
			}
		}
	}
	return path{}, false
}

func (p *path) fetch(env map[string]any) any {
	v := env[p.root]
	for i := range p.steps {
		s := &p.steps[i]
		if s.named {
			m, _ := v.(map[string]any)
			v = m[s.name]
			continue
		}
		a, _ := v.([]any)
		at := s.index
		if at < 0 {
			at += len(a)
		}
		if at < 0 || at >= len(a) {
			return nil
		}
		v = a[at]
	}
	return v
}

// machine evaluates the expressions of one payload.
type machine struct {
	vm      vm.VM
	env     map[string]any
	longest int // of the payload's arrays
	steps   int
	trace   func(Step) // nil but for who asks to see
}

// Step is one expression that was evaluated.
type Step struct {
	Report int    // ordinal of the report
	Field  string // where it stands in the configuration
	Text   string // the expression
	Result string // what it gave, in words
	Err    error
}

// Trace has f told of every expression that is evaluated from now on.
func (d *Decoder) Trace(f func(Step)) { d.s.machine.trace = f }

// words of a result, for Step.
func words(v any) string {
	switch v := v.(type) {
	case nil:
		return "null (not in the payload)"
	case []any:
		return fmt.Sprintf("an array of %d", len(v))
	case string:
		return fmt.Sprintf("%.100q", v)
	case bool:
		return strconv.FormatBool(v)
	}
	if n, ok := number(v); ok {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return kind(v)
}

// errSteps ends the payload, not only the value.
var errSteps = fmt.Errorf("the expressions of this source look at more than %d elements of this payload: %w", MaxSteps, decode.ErrBound)

// eval gives the result; nil for what is not there.
func (m *machine) eval(e *expression) (any, error) {
	if e == nil {
		return nil, nil
	}
	v, err := m.run(e)
	if m.trace != nil {
		report, _ := m.env["index"].(int)
		m.trace(Step{report, e.field, e.text, words(v), err})
	}
	return v, err
}

func (m *machine) run(e *expression) (any, error) {
	if m.steps += m.cost(e); m.steps > MaxSteps {
		return nil, errSteps
	}
	if e.path != nil {
		v := e.path.fetch(m.env)
		if e.scale == 0 {
			return v, nil
		}
		if n, ok := v.(float64); ok {
			return e.arithmetic(n), nil
		} // the machine knows what is wrong with it
	}
	m.vm.MemoryBudget = memoryBudget
	v, err := m.vm.Run(e.program, m.env)
	if err == nil {
		return v, nil
	}
	for i := range e.reads { // it failed because something is not there: then neither is the result
		if e.reads[i].fetch(m.env) == nil {
			return nil, nil
		}
	}
	var at *file.Error
	if !errors.As(err, &at) {
		return nil, fmt.Errorf("%q: %w: %w", e.text, err, decode.ErrMalformed)
	}
	cause := decode.ErrMalformed
	if errors.Is(err, decode.ErrBound) || strings.Contains(at.Message, "memory budget") {
		cause = decode.ErrBound
	}
	return nil, fmt.Errorf("%.200q, column %d: %.200s: %w", e.text, at.Column+1, plain.Replace(at.Message), cause)
}

// plain says JSON's words for Go's types.
var plain = strings.NewReplacer("map[string]interface {}", "object", "[]interface {}", "array", "mapped.beyond", "a number beyond float64",
	"mapped.longText", "a text too long", "float64", "number", "<nil>", "null")

func (e *expression) arithmetic(n float64) float64 {
	switch e.scale {
	case '*':
		return n * e.factor
	case '/':
		return n / e.factor
	case '+':
		return n + e.factor
	}
	return n - e.factor
}

func (m *machine) cost(e *expression) int {
	n := max(m.longest, 1)
	if e.pieces {
		n = max(n, maxPieces)
	}
	cost := 1
	for range e.loops {
		cost *= n
	}
	return cost
}
