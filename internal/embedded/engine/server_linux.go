package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	slotTimeout = 30 * time.Second       // how long a request waits for its turn
	killEvery   = 100 * time.Millisecond // a statement may not have begun when first killed
	insertChunk = 1 << 20
)

// server speaks ClickHouse's HTTP interface for one running engine.
type server struct {
	lib   *library
	args  []string
	base  map[string]string // settings of every request
	hello hello
	log   *slog.Logger
	space *space

	readers, writers chan struct{} // slots: statements, and INSERTs that feed rows
	queries          atomic.Uint64
	buffers          sync.Pool

	killing sync.Mutex // guards keeper, whose statements are serial like any connection's
	keeper  *conn      // keeps the engine alive between requests and kills statements
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ping" || r.Method == http.MethodGet && r.URL.RawQuery == "" {
		w.Header().Set(pidHeader, strconv.Itoa(os.Getpid()))
		_, _ = io.WriteString(w, "Ok.\n") // a client that left needs no answer
		return
	}
	q, err := readRequest(r)
	if q == nil {
		q = &request{}
	}
	number := s.queries.Add(1)
	q.id = first(q.id, strconv.FormatUint(number, 10))
	a := s.answer(w, q)
	if err == nil {
		err = s.run(r, q, a, number)
	}
	if err != nil {
		s.log.Debug("query", "id", q.id, "err", err)
		a.fail(err)
	}
}

func (s *server) run(r *http.Request, q *request, a *answer, number uint64) error {
	if q.sql == helloQuery && q.format == "Native" {
		if err := s.hello.write(a, q.revision); err != nil {
			return err
		}
		return a.end()
	}
	slots := s.readers
	if q.feed {
		slots = s.writers
	}
	if err := take(r.Context(), slots); err != nil {
		return err
	}
	defer func() { <-slots }()
	c, err := s.session(q)
	if err != nil {
		return err
	}
	defer c.close()
	if q.feed {
		err = s.insert(c, q, a)
	} else {
		err = s.query(r.Context(), c, q, a, number)
	}
	if err != nil {
		return err
	}
	return a.end()
}

func take(ctx context.Context, slots chan struct{}) error {
	timeout := time.NewTimer(slotTimeout)
	defer timeout.Stop()
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return newException(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES",
			fmt.Sprintf("Too many simultaneous queries: %d run, waited %s", cap(slots), slotTimeout))
	}
}

// session opens the request's own connection with its database and settings.
func (s *server) session(q *request) (*conn, error) {
	text, err := prelude(q.database, q.settings, s.base)
	if err != nil {
		return nil, err
	}
	c, err := s.lib.open(s.args)
	if err != nil {
		return nil, err
	}
	if err := c.exec(text); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (s *server) insert(c *conn, q *request, a *answer) error {
	buf, _ := s.buffers.Get().(*[]byte)
	if buf == nil {
		b := make([]byte, insertChunk)
		buf = &b
	}
	defer s.buffers.Put(buf)
	rows, err := c.insert(q.sql, q.parsed.format, &patient{r: q.rows, ctl: a.ctl}, *buf)
	if err == nil {
		err = s.space.check()
	}
	if err != nil {
		return err
	}
	n := strconv.FormatUint(rows, 10)
	a.w.Header().Set("X-ClickHouse-Summary", `{"read_rows":"0","read_bytes":"0","written_rows":"`+n+`"}`)
	return nil
}

// patient gives each read of a body its own deadline.
type patient struct {
	r   io.Reader
	ctl *http.ResponseController
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.ctl.SetReadDeadline(time.Now().Add(stallTimeout)) // see answer.Write
	n, err := p.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = bodyError(err)
	}
	return n, err
}

// query runs a statement, by blocks if statement and format allow, and kills it when
// the client goes away. The comment is how the engine's process list is searched for it:
// the C API can neither name a query nor cancel one that has not answered yet.
func (s *server) query(ctx context.Context, c *conn, q *request, a *answer, number uint64) error {
	mark := "/* situ query " + strconv.FormatUint(number, 10) + " */"
	sql := q.sql + "\n" + mark
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { s.killOnLeave(ctx, done, mark) })
	defer watch.Wait()
	defer close(done)

	join := joinerOf(q.format)
	if q.rowset && join != nil && !q.whole {
		first := true
		err := c.stream(sql, q.format, q.params, func(block []byte) (int, error) {
			block = join(block, first)
			first = false
			return a.Write(block)
		})
		if !errors.Is(err, errNotStreamable) && (err != nil || !first || !hasHeader(q.format)) {
			return err
		}
	}
	return c.query(sql, q.format, q.params, a.writeSome)
}

// killOnLeave kills until the statement is over, because a kill may come before the
// statement has begun.
func (s *server) killOnLeave(ctx context.Context, done <-chan struct{}, mark string) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	for t := time.NewTicker(killEvery); ; {
		s.kill(mark)
		select {
		case <-done:
			t.Stop()
			return
		case <-t.C:
		}
	}
}

func (s *server) kill(mark string) {
	s.killing.Lock()
	defer s.killing.Unlock()
	if err := s.keeper.exec("KILL QUERY WHERE endsWith(query, '" + mark + "') ASYNC"); err != nil {
		s.log.Warn("kill query", "mark", mark, "err", err)
	}
}
