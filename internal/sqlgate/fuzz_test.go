package sqlgate

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzLex(f *testing.F) {
	for _, s := range []string{"SELECT 1", "select 'a;b' -- c\n;", "WITH x AS (SELECT 1) SELECT * FROM x SETTINGS max_threads = 1",
		"SELECT $a$ ; $a$", "SELECT /* ; */ \"a\"\"b\"", "SELECT `a\\`b`", "SELECT 1 FORMAT CSV", "(((", ")", ";", "$", "SELECT '\\", "# x\nSELECT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		l, err := lex(sql)
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Status() < 400 || e.Line < 0 || e.Column < 0 || e.Line > 1+strings.Count(sql, "\n") {
				t.Fatalf("%q: %v", sql, err)
			}
			return
		}
		if !utf8.ValidString(l.sql) || strings.ContainsRune(l.sql, 0) || !strings.HasPrefix(sql, l.sql) {
			t.Fatalf("%q became %q", sql, l.sql)
		}
		for name := range l.settings {
			if !strings.Contains(strings.Join(settable, " "), name) {
				t.Fatalf("%q: setting %q", sql, name)
			}
		}
		tokens, err := tokenize(l.sql)
		if err != nil {
			t.Fatalf("%q is lexed, its own part %q is not: %v", sql, l.sql, err)
		}
		for _, tok := range tokens {
			if tok.mark(';') {
				t.Fatalf("%q: a semicolon is left in %q", sql, l.sql)
			}
			if tok.start < 0 || tok.end > len(l.sql) || tok.start >= tok.end {
				t.Fatalf("%q: token %+v", sql, tok)
			}
		}
		again, err := lex(l.sql)
		if err != nil || again.sql != l.sql && !strings.HasPrefix(l.sql, again.sql) {
			t.Fatalf("%q, lexed again: %+v %v", l.sql, again, err)
		}
	})
}

// A tree that is accepted has as many nodes as the text has lines, and each was judged.
func FuzzTree(f *testing.F) {
	f.Add("SelectWithUnionQuery (children 1)\n ExpressionList (children 1)\n  SelectQuery (children 1)\n   ExpressionList (children 1)\n    Literal UInt64_1\n")
	f.Add("A (children 2)\n B (children 1)\n  C\n D\n")
	f.Add("Function file (alias x (children 1)) (children 1)\n ExpressionList\n")
	f.Fuzz(func(t *testing.T, text string) {
		root, err := parseTree(text)
		if err != nil {
			return
		}
		lines := strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1
		if n := count(root); n != lines {
			t.Fatalf("%q: %d nodes of %d lines", text, n, lines)
		}
		err = newRules("situ").check(root, nil)
		if err == nil && strings.Contains(text, "Function file") && everyKind(root, func(n *node) bool { return !(n.kind == "Function" && n.text == "file") }) == false {
			t.Fatalf("%q passes", text)
		}
		if e, ok := err.(*Error); err != nil && (!ok || e.Status() != http.StatusForbidden) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

func count(n *node) int {
	sum := 1
	for _, c := range n.children {
		sum += count(c)
	}
	return sum
}

func everyKind(n *node, ok func(*node) bool) bool {
	if !ok(n) {
		return false
	}
	for _, c := range n.children {
		if !everyKind(c, ok) {
			return false
		}
	}
	return true
}
