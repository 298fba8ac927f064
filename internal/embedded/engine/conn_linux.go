package engine

import (
	"io"
	"runtime"
	"strings"
	"unsafe"
)

// conn is one engine connection, which is one ClickHouse session: its current
// database and settings are its own. The engine runs one statement at a time on it and
// the holder is its only user.
//
// Opening costs 0.15 to 0.3 ms, so each request gets a new one and no setting of one
// request can reach another, not even readonly=1, which cannot be taken back.
type conn struct {
	lib *library
	box *handle
	h   handle
}

func (c *conn) close() { c.lib.closeConn(c.box) }

// param is one {name:Type} value in ClickHouse's escaped text form, as HTTP's param_name
// carries it.
type param struct{ name, value string }

func (c *conn) start(f statement, sql, format string, params []param) handle {
	n := len(params)
	names, values := make([]*byte, n+1), make([]*byte, n+1)
	nameLens, valueLens := make([]uintptr, n+1), make([]uintptr, n+1)
	for i, p := range params {
		names[i], nameLens[i] = data(p.name), uintptr(len(p.name))
		values[i], valueLens[i] = data(p.value), uintptr(len(p.value))
	}
	r := f(c.h, data(sql), uintptr(len(sql)), data(format), uintptr(len(format)),
		&names[0], &nameLens[0], &values[0], &valueLens[0], uintptr(n))
	runtime.KeepAlive(params)
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	return r
}

// data is a non-nil pointer even for "".
func data(s string) *byte {
	if s == "" {
		return new(byte)
	}
	return unsafe.StringData(s)
}

// exec runs sql and drops what it answers.
func (c *conn) exec(sql string) error {
	return c.query(sql, "Null", nil, io.Discard.Write)
}

// query runs one statement to its end, then gives emit its whole output. The slice is
// the engine's memory: emit must not keep it.
func (c *conn) query(sql, format string, params []param, emit func([]byte) (int, error)) error {
	r := c.start(c.lib.query, sql, format, params)
	defer c.lib.resultDestroy(r)
	if err := c.lib.errorOf(r); err != nil {
		return err
	}
	_, err := emit(c.lib.bytes(r))
	return err
}

// stream runs a SELECT and gives emit one block of output at a time, formatted as if
// it were alone (see formats.go). It returns errNotStreamable, with nothing run, for a
// statement the engine can only run whole.
func (c *conn) stream(sql, format string, params []param, emit func([]byte) (int, error)) error {
	r := c.start(c.lib.stream, sql, format, params)
	defer c.lib.resultDestroy(r)
	if err := c.lib.errorOf(r); err != nil {
		if strings.Contains(err.Error(), "Streaming query is not supported") {
			return errNotStreamable
		}
		return err
	}
	for {
		more, err := c.fetch(r, emit)
		if err != nil {
			c.lib.streamCancel(c.h, r)
			return err
		}
		if !more {
			return nil
		}
	}
}

func (c *conn) fetch(r handle, emit func([]byte) (int, error)) (more bool, err error) {
	block := c.lib.streamFetch(c.h, r)
	defer c.lib.resultDestroy(block)
	if err := c.lib.errorOf(block); err != nil {
		return false, err
	}
	b := c.lib.bytes(block)
	if len(b) == 0 {
		return false, nil
	}
	_, err = emit(b)
	return true, err
}

// insert streams body, in the given format, into the INSERT statement sql (without its
// FORMAT clause). A body that ends in an error is cancelled: rows of it that the engine
// has already written as whole blocks may stay, as in any ClickHouse.
func (c *conn) insert(sql, format string, body io.Reader, buf []byte) (rows uint64, err error) {
	s := c.lib.insert(c.h, data(sql), uintptr(len(sql)), data(format), uintptr(len(format)))
	defer c.lib.insertDestroy(s)
	if err := c.insertFault(s); err != nil {
		return 0, err
	}
	sent, refused := 0, false
	for {
		n, rerr := body.Read(buf)
		if n > 0 && c.lib.insertAppend(s, &buf[0], uintptr(n)) != 0 {
			refused = true // done tells why
			break
		}
		sent += n
		if rerr == io.EOF {
			break
		}
		if rerr != nil {
			c.lib.insertCancel(s)
			return 0, rerr
		}
	}
	if sent == 0 && format == "Native" {
		c.lib.insertCancel(s)
		return 0, errEmptyInsert
	}
	r := c.lib.insertDone(s)
	defer c.lib.resultDestroy(r)
	if err := c.lib.errorOf(r); err != nil || !refused {
		return c.lib.resultRowsWritten(r), err
	}
	return 0, errRowsRefused
}

func (c *conn) insertFault(s handle) error {
	if p := c.lib.insertError(s); p != nil {
		return parseException(goString(p))
	}
	return nil
}
