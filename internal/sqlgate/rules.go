package sqlgate

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"
)

// kinds are the nodes that a SELECT is made of. Not among them: Set (SETTINGS), everything that writes, describes or
// shows, and ColumnsApplyTransformer, which hides the function it applies.
var kinds = map[string]bool{
	"SelectWithUnionQuery": true, "SelectIntersectExceptQuery": true, "SelectQuery": true, "ExpressionList": true,
	"TablesInSelectQuery": true, "TablesInSelectQueryElement": true, "TableExpression": true, "TableJoin": true,
	"ArrayJoin": true, "Subquery": true, "WithElement": true, "SampleRatio": true,
	"Identifier": true, "Literal": true, "Asterisk": true, "QualifiedAsterisk": true, "OrderByElement": true,
	"InterpolateElement": true, "StorageOrderByElement": true,
	"WindowDefinition": true, "WindowListElement": true,
	"ColumnsRegexpMatcher": true, "ColumnsListMatcher": true, "QualifiedColumnsRegexpMatcher": true, "QualifiedColumnsListMatcher": true,
	"ColumnsTransformerList": true, "ColumnsExceptTransformer": true, "ColumnsReplaceTransformer": true,
	"ColumnsReplaceTransformer::Replacement": true,
	// judged one by one in check:
	"Function": true, "TableIdentifier": true,
}

// tables may be read. hidden are the others of the database, whose names a WITH may not take: where it is out of scope
// the name would mean the table.
var (
	tables = []string{"history", "latest", "things", "datastreams", "properties", "deadletters", "payloads", "balance", "removed",
		"cells_5m", "cells_1h", "cells_1d", "datastream_1h", "judgements", "thing_months"}
	hidden = []string{"observations", "repeats", "ingest_blocks", "gaps", "gap_shares", "schema_migrations", "thing_versions", "datastream_versions",
		"property_versions", "deadletter_versions", "payload_rows", "revised", "vanished", "taken", "empties", "thing_dict", "datastream_dict", "property_dict",
		"rollup_5m", "rollup_1h", "rollup_1d", "rollup_datastream_1h", "rollup_dirty", "rollup_clock", "rollup_property_dict",
		"rollup_thing_dict", "rollup_datastream_dict", "judgement_windows", "in_service", "thing_day_rates"}
)

//go:embed functions.txt
var functionList string

// rules are the lists, ready to be asked. Names of functions are in lower case.
type rules struct {
	database          string
	scalar, aggregate map[string]bool
	table             map[string]bool
}

func newRules(database string) *rules {
	r := &rules{database: database, scalar: map[string]bool{}, aggregate: map[string]bool{}, table: map[string]bool{}}
	var into map[string]bool
	for line := range strings.Lines(functionList) {
		line, _, _ = strings.Cut(line, "#")
		for _, word := range strings.Fields(line) {
			switch word {
			case "[scalar]":
				into = r.scalar
			case "[aggregate]":
				into = r.aggregate
			case "[table]":
				into = r.table
			default:
				into[strings.ToLower(word)] = true
			}
		}
	}
	return r
}

// combinators are the endings of aggregate functions.
var combinators = []string{"if", "array", "distinct", "ordefault", "ornull", "foreach", "map", "state", "merge", "simplestate",
	"mergestate", "resample", "argmin", "argmax"}

// function reports whether a name may be called.
func (r *rules) function(name string) bool {
	name = strings.ToLower(name)
	if r.scalar[name] {
		return true
	}
	for range 8 { // sumMapIfOrNull has three
		if r.aggregate[name] {
			return true
		}
		i := slices.IndexFunc(combinators, func(c string) bool { return strings.HasSuffix(name, c) })
		if i < 0 {
			return false
		}
		name = strings.TrimSuffix(name, combinators[i])
	}
	return false
}

// inFunctions take a table's name as their second argument.
var inFunctions = []string{"in", "notin", "globalin", "globalnotin", "nullin", "notnullin", "globalnullin", "globalnotnullin"}

// check judges a whole tree, wrap included.
func (r *rules) check(root *node, ctes []string) error {
	if r == nil { // only a test makes a gate without rules
		return nil
	}
	for _, name := range ctes {
		if !plainName(name) && !chinese(name) || slices.ContainsFunc(append(tables, hidden...), func(t string) bool { return strings.EqualFold(t, name) }) {
			return refuse(http.StatusForbidden, "WITH %s: take a plain name that is no table's", name)
		}
	}
	return r.walk(root, ctes)
}

// chinese allows names of letters beyond ASCII, which plainName does not know.
func chinese(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return c < 0x80 && !plainName("_"+string(c)) || c == 0xfffd
	})
}

func (r *rules) walk(n *node, ctes []string) error {
	if !kinds[n.kind] {
		return refuse(http.StatusForbidden, "%s is not allowed", kindName(n.kind))
	}
	switch n.kind {
	case "TableIdentifier":
		if !r.tableAllowed(n.text, ctes) {
			return r.noTable(n.text)
		}
	case "TableExpression":
		return r.tableExpression(n, ctes)
	case "Literal":
		if strings.Contains(strings.ToLower(n.text), "aggregatefunction") {
			return refuse(http.StatusForbidden, "states of aggregate functions cannot be made from text")
		}
	case "Function":
		if !r.function(n.text) {
			return refuse(http.StatusForbidden, "function %s is not on the list of functions that may be used here", n.text)
		}
		if slices.Contains(inFunctions, strings.ToLower(n.text)) {
			if err := r.checkIn(n, ctes); err != nil {
				return err
			}
		}
	}
	return r.walkAll(n.children, ctes)
}

func (r *rules) walkAll(nodes []*node, ctes []string) error {
	for _, n := range nodes {
		if err := r.walk(n, ctes); err != nil {
			return err
		}
	}
	return nil
}

// tableExpression: a Function right below is a table function.
func (r *rules) tableExpression(n *node, ctes []string) error {
	for _, c := range n.children {
		if c.kind == "Function" {
			if !r.table[strings.ToLower(c.text)] {
				return refuse(http.StatusForbidden, "table function %s is not allowed", c.text)
			}
			if err := r.walkAll(c.children, ctes); err != nil {
				return err
			}
			continue
		}
		if err := r.walk(c, ctes); err != nil {
			return err
		}
	}
	return nil
}

// checkIn: the right side of IN may be a table by its bare name, or a table function.
func (r *rules) checkIn(n *node, ctes []string) error {
	if len(n.children) != 1 || len(n.children[0].children) != 2 {
		return refuse(http.StatusForbidden, "%s wants two arguments", n.text)
	}
	switch right := n.children[0].children[1]; right.kind {
	case "Literal", "Subquery":
	case "Identifier":
		// A column, an alias, a table. A table of the database is one of ours or refused; any other name is no table.
		if strings.Contains(right.text, ".") && !r.tableAllowed(right.text, ctes) ||
			slices.ContainsFunc(hidden, func(t string) bool { return strings.EqualFold(t, right.text) }) {
			return r.noTable(right.text)
		}
	case "Function":
		if name := strings.ToLower(right.text); name == "format" || r.table[name] {
			return refuse(http.StatusForbidden, "IN %s(...): want a list, a subquery or a table", right.text)
		}
	default:
		return refuse(http.StatusForbidden, "IN %s: want a list, a subquery or a table", kindName(right.kind))
	}
	return nil
}

func (r *rules) tableAllowed(name string, ctes []string) bool {
	if slices.Contains(ctes, name) {
		return true
	}
	return slices.Contains(tables, strings.TrimPrefix(name, r.database+"."))
}

func (r *rules) noTable(name string) error {
	return refuse(http.StatusForbidden, "table %s is not among %s", name, strings.Join(tables, ", "))
}

// kindName says what a kind of node is, in SQL's words.
func kindName(kind string) string {
	switch kind {
	case "Set":
		return "SETTINGS inside a query"
	case "ColumnsApplyTransformer":
		return "APPLY"
	case "SelectQuery", "SelectWithUnionQuery":
		return "a bare SELECT"
	}
	return kind
}
