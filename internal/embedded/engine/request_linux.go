package engine

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	maxHead  = 256 << 10 // an INSERT's head must be within this many bytes of a body
	maxQuery = 8 << 20   // of any other statement's text
)

// request is one HTTP request understood: what to run, under which settings, and how
// to answer.
type request struct {
	parsed
	rows io.Reader // what feeds an INSERT

	id       string // X-ClickHouse-Query-Id
	database string
	settings map[string]string
	params   []param

	format   string // of the answer
	revision uint64 // client_protocol_version
	whole    bool   // wait_end_of_query: nothing is sent before everything is known
	frames   bool   // compress: ClickHouse's own compressed blocks
	encoding string // Content-Encoding of the answer, "" for none
}

// readRequest follows ClickHouse's HTTP interface: the statement is ?query=, or the
// body, or the first followed by the second; param_name are query parameters; every
// other URL parameter that has no meaning of its own is a setting.
func readRequest(r *http.Request) (*request, error) {
	q := &request{settings: map[string]string{}}
	v := r.URL.Query()
	if err := q.readURL(v, r); err != nil {
		return nil, err
	}
	body, err := decodeBody(r, isOn(v.Get("decompress")))
	if err != nil {
		return nil, err
	}
	if err := q.readStatement(v.Get("query"), body); err != nil {
		return nil, err
	}
	if q.parsed.format != "" && !q.feed {
		q.format = q.parsed.format
	}
	return q, nil
}

func (q *request) readURL(v url.Values, r *http.Request) error {
	q.id = v.Get("query_id")
	q.database = first(v.Get("database"), r.Header.Get("X-ClickHouse-Database"))
	q.format = first(v.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), "TabSeparated")
	q.revision, _ = strconv.ParseUint(v.Get("client_protocol_version"), 10, 64)
	q.whole, q.frames = isOn(v.Get("wait_end_of_query")), isOn(v.Get("compress"))
	if isOn(v.Get("enable_http_compression")) { // off by default, as in ClickHouse
		q.encoding = chooseEncoding(r.Header.Get("Accept-Encoding"))
	}
	for name := range v {
		value := v.Get(name)
		if p, ok := strings.CutPrefix(name, "param_"); ok {
			q.params = append(q.params, param{p, value})
			continue
		}
		switch name {
		case "query", "database", "default_format", "client_protocol_version", "query_id", "quota_key",
			"compress", "decompress", "wait_end_of_query", "buffer_size", "user", "password", "stacktrace":
		case "session_id", "role":
			return newException(codeNotImplemented, "NOT_IMPLEMENTED", "the embedded store has no "+name)
		default:
			q.settings[name] = value
		}
	}
	if r.Method == http.MethodGet && q.settings["readonly"] != "1" {
		q.settings["readonly"] = "2" // as ClickHouse: GET changes nothing
	}
	return nil
}

func (q *request) readStatement(text string, body io.Reader) error {
	head := bufio.NewReaderSize(body, maxHead)
	if text == "" {
		peek, err := head.Peek(maxHead)
		if err != nil && !errors.Is(err, io.EOF) {
			return bodyError(err)
		}
		if q.parsed, err = parse(string(peek)); err == nil && q.feed {
			_, err = head.Discard(q.parsed.rows)
			q.rows = head
		}
		if err != nil || q.feed || len(peek) < maxHead {
			return err
		}
	} else if p, err := parse(text); err != nil || p.feed {
		q.parsed = p
		q.rows = io.MultiReader(strings.NewReader(strings.TrimSpace(text[p.rows:])), head)
		return err
	}
	rest, err := io.ReadAll(io.LimitReader(head, maxQuery+1))
	if err != nil {
		return bodyError(err)
	}
	if len(rest) > maxQuery {
		return newException(codeSyntaxError, "SYNTAX_ERROR", fmt.Sprintf("Query is longer than %d bytes", maxQuery))
	}
	whole := strings.TrimPrefix(text+"\n"+string(rest), "\n")
	q.parsed, err = parse(whole)
	if q.feed {
		q.rows = strings.NewReader(whole[q.parsed.rows:])
	}
	return err
}

func bodyError(err error) error {
	return newException(codeNetwork, "NETWORK_ERROR", "read request body: "+err.Error())
}

// decodeBody undoes Content-Encoding and, with decompress=1, ClickHouse's own frames.
func decodeBody(r *http.Request, frames bool) (io.Reader, error) {
	var body io.Reader = r.Body
	var err error
	switch e := r.Header.Get("Content-Encoding"); e {
	case "", "identity":
	case "gzip":
		body, err = gzip.NewReader(body)
	case "deflate":
		body, err = zlib.NewReader(body)
	case "br":
		body = brotli.NewReader(body)
	case "zstd":
		var d *zstd.Decoder
		if d, err = zstd.NewReader(body, zstd.WithDecoderConcurrency(1)); err == nil {
			body = d.IOReadCloser()
		}
	default:
		return nil, newException(codeNotImplemented, "NOT_IMPLEMENTED", "Content-Encoding "+e)
	}
	if err != nil {
		return nil, bodyError(err)
	}
	if frames {
		body = &frameReader{r: compress.NewReader(body)}
	}
	return body, nil
}

// frameReader ends cleanly where a frame would begin and the body is over.
type frameReader struct{ r *compress.Reader }

func (f *frameReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// encodings in the order of preference for an answer.
var encodings = []string{"zstd", "gzip", "br", "deflate"}

func chooseEncoding(accept string) string {
	offered := strings.Split(strings.ReplaceAll(accept, " ", ""), ",")
	for _, e := range encodings {
		if slices.Contains(offered, e) {
			return e
		}
	}
	return ""
}

// encoder is nil for no encoding.
func encoder(name string, w io.Writer) (io.WriteCloser, error) {
	switch name {
	case "gzip":
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case "deflate":
		return zlib.NewWriterLevel(w, flate.BestSpeed)
	case "br":
		return brotli.NewWriterLevel(w, brotli.BestSpeed), nil
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	}
	return nil, nil
}

func isOn(s string) bool { return s != "" && s != "0" && s != "false" }
