package main

import (
	"bytes"
	"fmt"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
)

// page is one protocol's.
func page(root string, p protocol, cases []example) ([]byte, error) {
	text, err := documentation(filepath.Join(root, "internal", "decode", p.pkg, "doc.go"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- Written by go generate ./internal/decode/all from internal/decode/%s/doc.go and testdata/payloads/%s. -->\n\n", p.pkg, p.name)
	fmt.Fprintf(&b, "# %s\n\n", p.title)
	fmt.Fprintf(&b, "Protocol `%s` · %s · %s, %s · [all protocols](README.md) · [how to read this page](README.md#how-to-read-a-page)\n\n", p.name, p.sector, p.standard, p.edition)
	b.WriteString(joining(p))
	if p.same != "" {
		fmt.Fprintf(&b, "What a payload becomes is said with [`%s`](%s.md).\n", p.same, p.same)
	} else {
		b.WriteString("## What a payload becomes\n\n")
		b.Write(text)
	}
	if len(cases) > 0 {
		b.WriteString("\n" + examples(p, cases))
	}
	return b.Bytes(), nil
}

// joining says how payloads of a protocol reach situ.
func joining(p protocol) string {
	if p.name == "wasm" {
		return "Named in the configuration of a [source](../sources.md); [plug-ins](../plugins.md) says how one is made.\n\n"
	}
	own := fmt.Sprintf("Publish to `situ/v1/{owner}/{thing}/%s`, or name `protocol: %s` in a [source](../sources.md)", p.name, p.name)
	if strings.Contains(p.topic, "/") {
		own += " of the topics that they come on anyway: " + topics(p.topic)
	}
	return own + ". `situ source check` shows what becomes of a payload, without storing it.\n\n"
}

// inCode heads what concerns who writes Go only; a page ends before it.
const inCode = "# In code"

var (
	subject = regexp.MustCompile(`^Package \w+ `)
	step    = regexp.MustCompile(`;? ?\(?step 2 of 8(\))?`)
)

// documentation is the documentation of a package in Markdown, up to the part about Go.
func documentation(path string) ([]byte, error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return nil, err
	}
	text, _, _ := strings.Cut(f.Doc.Text(), inCode+"\n")
	text = subject.ReplaceAllString(text, "situ ")
	text = strings.Replace(strings.Replace(text, " (step 2 of 8)", "", 1), "; step 2 of 8)", ")", 1)
	if step.MatchString(text) {
		return nil, fmt.Errorf("%s tells its step in a way that is not known", path)
	}
	var parse comment.Parser
	print := comment.Printer{HeadingLevel: 3, HeadingID: func(*comment.Heading) string { return "" }}
	return print.Markdown(parse.Parse(text)), nil
}
