package engine

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/ClickHouse/ch-go/compress"
)

const (
	frameSize    = 1 << 20          // of ClickHouse's compressed blocks, before compression
	stallTimeout = 60 * time.Second // a client that takes or gives nothing for so long is gone
)

// answer writes one response. Its status is decided late: nothing is sent before the
// first block of the result or the error is there.
type answer struct {
	s   *server
	w   http.ResponseWriter
	ctl *http.ResponseController
	q   *request

	begun bool
	tag   string // frames an error that comes after the status
	enc   io.WriteCloser
	frame *compress.Writer
}

func (s *server) answer(w http.ResponseWriter, q *request) *answer {
	return &answer{s: s, w: w, ctl: http.NewResponseController(w), q: q}
}

func (a *answer) begin() error {
	a.begun = true
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails, says crypto/rand
	a.tag = hex.EncodeToString(random)
	h := a.w.Header()
	a.commonHeaders(h)
	h.Set("Content-Type", contentType(a.q.format))
	h.Set("X-ClickHouse-Format", a.q.format)
	h.Set("X-ClickHouse-Exception-Tag", a.tag)
	if a.q.encoding != "" {
		h.Set("Content-Encoding", a.q.encoding)
	}
	if a.q.frames {
		method := compress.LZ4
		if a.q.settings["network_compression_method"] == "ZSTD" {
			method = compress.ZSTD
		}
		a.frame = compress.NewWriter(compress.LevelZero, method)
	}
	var err error
	a.enc, err = encoder(a.q.encoding, a.w)
	return err
}

func (a *answer) commonHeaders(h http.Header) {
	h.Set("X-ClickHouse-Server-Display-Name", a.s.hello.name)
	h.Set("X-ClickHouse-Timezone", a.s.hello.timezone)
	h.Set("X-ClickHouse-Query-Id", a.q.id)
}

// Write sends a piece of the result. It does not keep b.
func (a *answer) Write(b []byte) (int, error) {
	if !a.begun {
		if err := a.begin(); err != nil {
			return 0, err
		}
	}
	// A connection that has no deadlines (a test recorder) is written without one.
	_ = a.ctl.SetWriteDeadline(time.Now().Add(stallTimeout))
	for rest := b; a.frame != nil && len(rest) > 0; {
		n := min(len(rest), frameSize)
		if err := a.frame.Compress(rest[:n]); err != nil {
			return 0, err
		}
		if _, err := a.out().Write(a.frame.Data); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	if a.frame != nil {
		return len(b), nil
	}
	return a.out().Write(b)
}

func (a *answer) out() io.Writer {
	if a.enc != nil {
		return a.enc
	}
	return a.w
}

// end closes a good result; one without a byte still gets its headers.
func (a *answer) end() error {
	if !a.begun {
		if err := a.begin(); err != nil {
			return err
		}
		if a.enc == nil {
			return nil
		}
	}
	if a.enc != nil {
		return a.enc.Close()
	}
	return nil
}

// fail tells the error: as a status with the text if nothing was sent yet, else as
// ClickHouse's framed block at the end of what was sent, after which the connection is
// broken off so that no client takes the result for whole.
func (a *answer) fail(err error) {
	e := asException(err)
	text := e.Text + " (version " + a.s.hello.version + ")"
	if !a.begun {
		h := a.w.Header()
		a.commonHeaders(h)
		h.Set("Content-Type", "text/plain; charset=UTF-8")
		h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
		a.w.WriteHeader(httpStatus(e.Code))
		_, _ = io.WriteString(a.w, text+"\n") // the client may be gone; it is only told why
		return
	}
	const marker = "\r\n__exception__\r\n"
	fmt.Fprintf(a.out(), marker+"%s\r\n%s\n%d %s"+marker, a.tag, text, len(text), a.tag)
	if a.enc != nil {
		_ = a.enc.Close() // as above
	}
	_ = a.ctl.Flush()
	panic(http.ErrAbortHandler)
}

// writeSome is Write that leaves an empty result to end.
func (a *answer) writeSome(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return a.Write(b)
}
