package engine

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// handle is an opaque pointer into the library.
type handle unsafe.Pointer

// statement is the shape of the two calls that start a statement: SQL and default
// format by pointer and length (zero bytes are allowed), then names and values of
// the {name:Type} parameters as four parallel arrays.
type statement func(conn handle, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr,
	names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, n uintptr) handle

// library is libchdb's C API, bound by hand: the functions this package calls and no
// more. Results and streams belong to the library until their destroy call.
type library struct {
	opening sync.Mutex // connect resets signal handlers process-wide, see signals_linux.go

	version           func() string
	setSignalHandlers func(enabled int32)
	connect           func(argc int32, argv **byte) *handle
	closeConn         func(conn *handle)

	query        statement
	stream       statement
	streamFetch  func(conn, result handle) handle
	streamCancel func(conn, result handle)

	insert        func(conn handle, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr) handle
	insertAppend  func(stream handle, data *byte, n uintptr) int32
	insertDone    func(stream handle) handle
	insertCancel  func(stream handle)
	insertError   func(stream handle) *byte
	insertDestroy func(stream handle)

	resultBuffer      func(result handle) *byte
	resultLength      func(result handle) uintptr
	resultError       func(result handle) *byte
	resultRowsWritten func(result handle) uint64
	resultDestroy     func(result handle)
}

// load opens the shared object and binds every symbol; one that is missing is named,
// because a library of another version is refused, not guessed at.
func load(path string) (*library, error) {
	so, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load engine library %s: %w", path, err)
	}
	l := new(library)
	for name, fn := range l.symbols() {
		sym, err := purego.Dlsym(so, name)
		if err != nil {
			return nil, fmt.Errorf("engine library %s lacks %s: %w", path, name, err)
		}
		purego.RegisterFunc(fn, sym)
	}
	keepSignals(func() { l.setSignalHandlers(0) })
	return l, nil
}

func (l *library) symbols() map[string]any {
	return map[string]any{
		"chdb_version":                     &l.version,
		"chdb_set_signal_handlers_enabled": &l.setSignalHandlers,
		"chdb_connect":                     &l.connect,
		"chdb_close_conn":                  &l.closeConn,
		"chdb_query_with_params_n":         &l.query,
		"chdb_stream_query_with_params_n":  &l.stream,
		"chdb_stream_fetch_result":         &l.streamFetch,
		"chdb_stream_cancel_query":         &l.streamCancel,
		"chdb_stream_insert_n":             &l.insert,
		"chdb_stream_append":               &l.insertAppend,
		"chdb_stream_done":                 &l.insertDone,
		"chdb_stream_cancel_insert":        &l.insertCancel,
		"chdb_stream_insert_error":         &l.insertError,
		"chdb_destroy_insert_stream":       &l.insertDestroy,
		"chdb_result_buffer":               &l.resultBuffer,
		"chdb_result_length":               &l.resultLength,
		"chdb_result_error":                &l.resultError,
		"chdb_result_rows_written":         &l.resultRowsWritten,
		"chdb_destroy_query_result":        &l.resultDestroy,
	}
}

// open connects. The first connection of a process starts the engine with args
// (argv[0] included) and later ones, which must name the same path, join it; when the
// last one closes the engine stops.
func (l *library) open(args []string) (*conn, error) {
	argv := make([]*byte, len(args)+1)
	for i, a := range args {
		argv[i] = unsafe.SliceData(append([]byte(a), 0))
	}
	var box *handle
	l.opening.Lock()
	keepSignals(func() { box = l.connect(int32(len(args)), &argv[0]) })
	l.opening.Unlock()
	runtime.KeepAlive(argv)
	if box == nil {
		// The C API gives no reason here; what it knows it has written to stderr.
		return nil, fmt.Errorf("engine refused to start with %s", strings.Join(args[1:], " "))
	}
	return &conn{lib: l, box: box, h: *box}, nil
}

// errorOf is a result's error as an *Exception, nil when it has none.
func (l *library) errorOf(r handle) error {
	if p := l.resultError(r); p != nil {
		return parseException(goString(p))
	}
	return nil
}

// bytes is the result's own memory, valid until the result is destroyed.
func (l *library) bytes(r handle) []byte {
	if n := l.resultLength(r); n > 0 {
		return unsafe.Slice(l.resultBuffer(r), n)
	}
	return nil
}

func goString(p *byte) string {
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
