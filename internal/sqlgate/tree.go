package sqlgate

import (
	"net/http"
	"strconv"
	"strings"
)

// node is one line of EXPLAIN AST with what is indented below it.
type node struct {
	kind     string // e.g. Function
	text     string // what follows, without alias and count of children
	children []*node
}

// parseTree reads the text of EXPLAIN AST: a line a node, a blank of indentation a level, "(children n)" behind those
// that have any. Every count must be right: a name that contains line ends and looks like nodes does not fit in.
func parseTree(text string) (*node, error) {
	root := &node{}
	stack := []*node{root}
	want := []int{1} // children still to come, by level
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		body := strings.TrimLeft(line, " ")
		depth := len(line) - len(body)
		for len(stack)-1 > depth && want[len(want)-1] == 0 {
			stack, want = stack[:len(stack)-1], want[:len(want)-1]
		}
		if len(stack)-1 != depth || want[depth] == 0 || body == "" {
			return nil, errTree
		}
		want[depth]--
		n, children := parseNode(body)
		parent := stack[depth]
		parent.children = append(parent.children, n)
		stack, want = append(stack, n), append(want, children)
	}
	for _, w := range want {
		if w != 0 {
			return nil, errTree
		}
	}
	if len(root.children) != 1 {
		return nil, errTree
	}
	return root.children[0], nil
}

var errTree = refuse(http.StatusBadRequest, "the query's names make its syntax tree unreadable; use plain names")

func parseNode(body string) (n *node, children int) {
	if rest, ok := strings.CutSuffix(body, ")"); ok {
		if i := strings.LastIndex(rest, " (children "); i >= 0 {
			if count, err := strconv.Atoi(rest[i+len(" (children "):]); err == nil && count > 0 {
				children, body = count, rest[:i]
			}
		}
	}
	kind, text, _ := strings.Cut(strings.TrimRight(body, " "), " ")
	text = strings.TrimSpace(text)
	if kind != "Literal" {
		if i := strings.Index(text, " (alias "); i >= 0 {
			text = text[:i]
		} else if strings.HasPrefix(text, "(alias ") {
			text = ""
		}
	}
	return &node{kind: kind, text: text}, children
}
