package mapped

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/situ-city/situ/internal/decode"
)

// addName is what '+' becomes where both sides may be text: put together a hundred times, a text would fill the memory.
const addName = "_add"

// sameName is what '==' becomes where both sides may be documents: to compare those takes as long as they are.
const sameName = "_same"

// bounding puts add and same in the place of '+' and '==', unless one side is a number, or written out.
type bounding struct{}

// Visit implements ast.Visitor.
func (bounding) Visit(n *ast.Node) {
	b, ok := (*n).(*ast.BinaryNode)
	if !ok || isNumber(b.Left) || isNumber(b.Right) {
		return
	}
	call := func(name string) ast.Node {
		return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: []ast.Node{b.Left, b.Right}}
	}
	switch {
	case b.Operator == "+":
		ast.Patch(n, call(addName))
	case written(b.Left) || written(b.Right):
	case b.Operator == "==":
		ast.Patch(n, call(sameName))
	case b.Operator == "!=":
		ast.Patch(n, &ast.UnaryNode{Operator: "not", Node: call(sameName)})
	}
}

func written(n ast.Node) bool {
	switch n.(type) {
	case *ast.StringNode, *ast.BoolNode, *ast.NilNode, *ast.ConstantNode:
		return true
	}
	return false
}

func same(args ...any) (any, error) {
	a, okA := number(args[0])
	b, okB := number(args[1])
	if okA && okB {
		return a == b, nil
	}
	for _, v := range args {
		switch v.(type) {
		case nil, string, bool, float64, int:
		default:
			return nil, fmt.Errorf("%s == %s: want numbers, texts, true, false or null", kind(args[0]), kind(args[1]))
		}
	}
	return args[0] == args[1], nil
}

func isNumber(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return true
	case *ast.UnaryNode:
		return n.Operator == "-" || n.Operator == "+"
	case *ast.BinaryNode:
		switch n.Operator {
		case "-", "*", "/", "%", "**", "^":
			return true
		case "+":
			return isNumber(n.Left) || isNumber(n.Right)
		}
	case *ast.BuiltinNode:
		return numeric[n.Name]
	}
	return false
}

func add(args ...any) (any, error) {
	if a, ok := args[0].(string); ok {
		if b, ok := args[1].(string); ok {
			if len(a)+len(b) > MaxText {
				return nil, fmt.Errorf("a text of %d bytes, at most %d: %w", len(a)+len(b), MaxText, decode.ErrBound)
			}
			return a + b, nil
		}
	}
	a, okA := number(args[0])
	b, okB := number(args[1])
	if !okA || !okB {
		return nil, fmt.Errorf("%s + %s: both must be numbers, or both texts (string(x) makes one)", kind(args[0]), kind(args[1]))
	}
	return a + b, nil
}

// scalarText is string(x): of numbers, truth values and texts. fmt's form of a map has no order and no bound.
func scalarText(args ...any) (any, error) {
	switch v := args[0].(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	if v, ok := number(args[0]); ok {
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return nil, fmt.Errorf("string(%s): want a number, text, true or false", kind(args[0]))
}

// pieces is split(text, separator).
func pieces(args ...any) (any, error) {
	s, ok := args[0].(string)
	sep, okSep := args[1].(string)
	if !ok || !okSep || sep == "" {
		return nil, fmt.Errorf("split(%s, %s): want two texts, the second not empty", kind(args[0]), kind(args[1]))
	}
	if strings.Count(s, sep) >= maxPieces {
		return nil, fmt.Errorf("split gives more than %d pieces: %w", maxPieces, decode.ErrBound)
	}
	var out []any
	for piece := range strings.SplitSeq(s, sep) {
		out = append(out, piece)
	}
	return out, nil
}

// entries makes an array of {key, value} of an object, by key: a map itself has no order, and a replay must give the same.
func entries(args ...any) (any, error) {
	m, ok := args[0].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("entries(%s): want an object", kind(args[0]))
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([]any, len(keys))
	for i, k := range keys {
		out[i] = map[string]any{"key": k, "value": m[k]}
	}
	return out, nil
}

// number takes what arithmetic makes of JSON's numbers.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// integer is a number that a name may hold: without fraction, and exact.
func integer(v any) (int64, bool) {
	f, ok := number(v)
	if !ok || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// kind says what a value is, for people.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "a truth value"
	case string:
		return "a text"
	case map[string]any:
		return "an object"
	case []any, []int:
		return "an array"
	case longText:
		return fmt.Sprintf("a text of %d bytes (at most %d are read)", v.bytes, MaxText)
	case beyond:
		return "a number beyond float64"
	}
	if _, ok := number(v); ok {
		return "a number"
	}
	return "something else"
}
