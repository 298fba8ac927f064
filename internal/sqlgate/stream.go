package sqlgate

import (
	"bytes"
	"context"
	"io"
	"net/url"
)

// stream runs a query and passes its output on as it comes.
func (g *Gate) stream(ctx context.Context, q *query, settings url.Values, w io.Writer) error {
	res, err := g.post(ctx, q, settings)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	tail := &tailWriter{w: w, tag: res.Header.Get("X-ClickHouse-Exception-Tag")}
	if _, err := io.Copy(tail, res.Body); err != nil {
		if tail.err != nil { // the asker takes no more
			return unavailable(tail.err)
		}
		if text, ok := tail.exception(); ok {
			return q.explainError(text)
		}
		return unavailable(err)
	}
	if text, ok := tail.exception(); ok { // a server that closes its stream in order, error or not
		return q.explainError(text)
	}
	return tail.flush()
}

// An error that comes after the first byte of a result stands at the result's end, framed: CR LF, the marker, CR LF,
// a tag that the headers announced, CR LF, the text, its length, the tag, CR LF, the marker, CR LF.
const marker = "\r\n__exception__\r\n"

// maxFramed is more than the longest framed error.
const maxFramed = 32 << 10

// tailWriter passes everything on but the last bytes, in which an error may stand.
type tailWriter struct {
	w    io.Writer
	tag  string
	held []byte
	err  error // of w
}

func (t *tailWriter) Write(b []byte) (int, error) {
	t.held = append(t.held, b...)
	if over := len(t.held) - maxFramed; over > maxFramed {
		if _, t.err = t.w.Write(t.held[:over]); t.err != nil {
			return 0, t.err
		}
		t.held = t.held[:copy(t.held, t.held[over:])]
	}
	return len(b), nil
}

// exception gives the framed error at the end, if there is one, and passes on what stands before it.
func (t *tailWriter) exception() (text string, ok bool) {
	if t.tag == "" {
		return "", false
	}
	i := bytes.LastIndex(t.held, []byte(marker+t.tag+"\r\n"))
	if i < 0 {
		return "", false
	}
	framed := t.held[i+len(marker)+len(t.tag)+2:]
	t.held = t.held[:i]
	if n := bytes.LastIndex(framed, []byte(marker)); n >= 0 {
		framed = framed[:n]
	}
	if n := bytes.LastIndexByte(framed, '\n'); n >= 0 { // the line of length and tag
		framed = framed[:n]
	}
	_ = t.flush() // the error is told, whether or not the beginning still gets through
	return string(framed), true
}

func (t *tailWriter) flush() error {
	if _, t.err = t.w.Write(t.held); t.err != nil {
		return unavailable(t.err)
	}
	return nil
}
