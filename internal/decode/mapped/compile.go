package mapped

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// Bounds of an expression.
const (
	MaxNodes      = 200
	MaxExpression = 2000 // bytes
	maxLoops      = 2    // loops in each other
	maxPieces     = 256  // of split
)

// Functions are those that an expression may call, beside this package's own: string, split, entries.
func Functions() []string {
	return []string{"abs", "ceil", "count", "all", "any", "filter", "find", "first", "float", "floor", "get", "hasPrefix", "hasSuffix",
		"indexOf", "int", "last", "len", "lower", "map", "max", "mean", "min", "none", "one", "round", "sum", "trim", "upper"}
}

// linear functions walk an array although no predicate is written.
var linear = map[string]bool{"max": true, "mean": true, "min": true, "sum": true}

// numeric functions never give text.
var numeric = map[string]bool{"abs": true, "ceil": true, "count": true, "float": true, "floor": true, "int": true, "len": true,
	"max": true, "mean": true, "min": true, "round": true, "sum": true, "indexOf": true}

// expression is one that was compiled. A nil *expression is one that was not written.
type expression struct {
	field   string // where it stands in the configuration
	text    string
	path    *path // it only fetches: no machine is needed
	scale   byte  // '*', '/', '+' or '-': a fetched number and factor, without the machine too; 0 = no
	factor  float64
	program *vm.Program
	loops   int    // loops in each other: what it costs
	pieces  bool   // it makes arrays of its own, with split
	reads   []path // what it fetches outside of loops: if one is missing, so is the result
}

// compiler keeps the first error.
type compiler struct {
	parts []string
	err   error
}

func (c *compiler) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// expression compiles text, "" gives nil. item: the expression is about a report.
func (c *compiler) expression(field, text string, item bool) *expression {
	if text == "" || c.err != nil {
		return nil
	}
	e, err := c.compile(field, text, item)
	if err != nil {
		c.fail(fmt.Errorf("%w: %s: %w", ErrMapping, field, err))
	}
	return e
}

func (c *compiler) compile(field, text string, item bool) (*expression, error) {
	if len(text) > MaxExpression {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), MaxExpression)
	}
	tree, err := parser.Parse(text)
	if err != nil {
		return nil, said(err)
	}
	e := &expression{field: field, text: text}
	r := rules{e: e}
	e.loops = r.node(tree.Node, 0)
	if r.err != nil {
		return nil, r.err
	}
	if e.program, err = expr.Compile(text, c.options(item)...); err != nil {
		return nil, said(err)
	}
	if p, ok := pathOf(tree.Node); ok {
		e.path = &p
	} else {
		e.scaled(tree.Node)
	}
	return e, nil
}

// scaled recognises item.v / 10 and the like: most of what is computed at all.
func (e *expression) scaled(n ast.Node) {
	b, ok := n.(*ast.BinaryNode)
	if !ok || len(b.Operator) != 1 || !strings.Contains("*/+-", b.Operator) {
		return
	}
	p, ok := pathOf(b.Left)
	if !ok {
		return
	}
	switch c := b.Right.(type) {
	case *ast.IntegerNode:
		e.factor = float64(c.Value)
	case *ast.FloatNode:
		e.factor = c.Value
	default:
		return
	}
	e.path, e.scale = &p, b.Operator[0]
}

// options: what an expression sees, and what it may call.
func (c *compiler) options(item bool) []expr.Option {
	names := types.Map{}
	for _, p := range c.parts {
		names[p] = types.String
	}
	env := types.Map{"payload": types.Any, "topic": types.String, "part": names}
	if item {
		env["item"], env["index"] = types.Any, types.Int
	}
	options := []expr.Option{expr.Env(env), expr.MaxNodes(MaxNodes), expr.DisableAllBuiltins(), expr.Patch(bounding{}),
		expr.Function("string", scalarText, new(func(any) string)),
		expr.Function("split", pieces, new(func(string, string) []any)),
		expr.Function("entries", entries, new(func(any) []any)),
		expr.Function(addName, add, new(func(any, any) any)),
		expr.Function(sameName, same, new(func(any, any) bool)),
	}
	for _, f := range Functions() {
		options = append(options, expr.EnableBuiltin(f))
	}
	return options
}

// said makes one line of what expr says, with the column.
func said(err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return err
	}
	hint := ""
	switch {
	case strings.Contains(at.Message, "unexpected token EOF"), strings.Contains(at.Message, "unexpected end"):
		return fmt.Errorf("column %d: the expression ends too early", at.Column+1)
	case strings.Contains(at.Message, "unknown name"):
		hint = "; an expression sees payload, item, index, topic and part.NAME, and calls " + strings.Join(Functions(), ", ") + ", string, split, entries"
	case strings.Contains(at.Message, "unknown field"):
		hint = "; part has the names in {} of the source's topics"
	}
	return fmt.Errorf("column %d: %s%s", at.Column+1, at.Message, hint)
}

// rules refuses what has no bound, before anything is compiled.
type rules struct {
	e   *expression
	err error
}

func (r *rules) refuse(n ast.Node, form string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("column %d: %s", n.Location().From+1, fmt.Sprintf(form, args...))
	}
}

// node gives how many loops stand in each other inside n; around says how many stand around it.
func (r *rules) node(n ast.Node, around int) (loops int) {
	if p, ok := pathOf(n); ok {
		if around == 0 {
			r.e.reads = append(r.e.reads, p)
		}
		return 0
	}
	all := func(nodes ...ast.Node) {
		for _, c := range nodes {
			if c != nil {
				loops = max(loops, r.node(c, around))
			}
		}
	}
	switch n := n.(type) {
	case *ast.NilNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.ConstantNode, *ast.PointerNode:
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			r.refuse(n, "$env is not taken here")
		}
	case *ast.UnaryNode:
		all(n.Node)
	case *ast.BinaryNode:
		all(n.Left, n.Right)
		loops = r.binary(n, loops)
	case *ast.ChainNode:
		all(n.Node)
	case *ast.MemberNode:
		all(n.Node, n.Property)
	case *ast.SliceNode:
		all(n.Node, n.From, n.To)
	case *ast.ConditionalNode:
		all(n.Cond, n.Exp1, n.Exp2)
	case *ast.ArrayNode:
		all(n.Nodes...)
	case *ast.CallNode:
		all(n.Arguments...)
		loops = r.call(n, loops)
	case *ast.BuiltinNode:
		loops = r.builtin(n, around)
	case *ast.PredicateNode:
		all(n.Node)
	default:
		r.refuse(n, "%s is not taken here (variables, sequences and objects are not)", strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", n), "*ast."), "Node"))
	}
	return loops
}

func (r *rules) binary(n *ast.BinaryNode, loops int) int {
	switch n.Operator {
	case "..":
		r.refuse(n, "ranges (..) have no bound")
	case "matches":
		if _, ok := n.Right.(*ast.StringNode); !ok {
			r.refuse(n, "the pattern of matches must be written out as text")
		}
	case "in", "not in":
		return max(loops, 1)
	case "|":
		r.refuse(n, "pipes are not taken: write f(x)")
	}
	return loops
}

func (r *rules) call(n *ast.CallNode, loops int) int {
	name, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		r.refuse(n, "only functions can be called")
		return loops
	}
	switch name.Value {
	case "split":
		r.e.pieces = true
		return max(loops, 1)
	case "entries":
		return max(loops, 1)
	}
	return loops
}

func (r *rules) builtin(n *ast.BuiltinNode, around int) (loops int) {
	known := false
	for _, f := range append(Functions(), "string", "split") {
		known = known || f == n.Name
	}
	if !known {
		r.refuse(n, "unknown name %s; an expression calls %s, string, split, entries", n.Name, strings.Join(Functions(), ", "))
		return 0
	}
	r.e.pieces = r.e.pieces || n.Name == "split"
	if linear[n.Name] || n.Name == "split" || n.Name == "entries" {
		loops = 1
	}
	for _, a := range n.Arguments {
		if p, ok := a.(*ast.PredicateNode); ok {
			if around+1 > maxLoops {
				r.refuse(n, "loops stand in each other more than %d deep", maxLoops)
				return 0
			}
			loops = max(loops, 1+r.node(p.Node, around+1))
			continue
		}
		loops = max(loops, r.node(a, around))
	}
	if loops > maxLoops {
		r.refuse(n, "loops stand in each other more than %d deep", maxLoops)
	}
	return loops
}
