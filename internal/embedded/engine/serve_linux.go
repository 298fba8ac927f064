package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Serve runs the engine on cfg.DataDir and answers on cfg.Socket until ctx ends. It
// is the whole of the store process: a process can start the engine once.
//
// It takes the data directory's lock first, then checks the library against its pin,
// waits for room on the disk (space_linux.go), starts the engine, and listens last, so that
// a socket that answers is a store that works. When ctx ends it lets running requests finish within cfg.Grace, kills the rest,
// and closes the engine.
func Serve(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the store's directory: %w", err)
	}
	lock, err := lockDir(ctx, cfg.DataDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := Verify(cfg.Library, cfg.StateDir); err != nil {
		return err
	}
	room := &space{dir: cfg.DataDir, least: cfg.Reserve, log: cfg.Log, die: func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }}
	if room.least == 0 {
		room.least = defaultReserve
	}
	if err := room.wait(ctx); err != nil {
		return err
	}
	s, err := start(cfg)
	if err != nil {
		return err
	}
	s.space = room
	watching, enough := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { room.watch(watching) })
	defer watch.Wait()
	defer enough()
	err = s.serve(ctx, cfg)
	s.stop()
	return err
}

// start loads the library and the engine's data.
func start(cfg Config) (*server, error) {
	began := time.Now()
	lib, err := load(cfg.Library)
	if err != nil {
		return nil, err
	}
	s := &server{
		lib: lib, args: cfg.engineArgs(), base: baseSettings(cfg.MemoryLimit), log: cfg.Log,
		readers: make(chan struct{}, cfg.Readers), writers: make(chan struct{}, cfg.Writers),
	}
	if s.keeper, err = lib.open(s.args); err != nil {
		return nil, err
	}
	if s.hello, err = askHello(s.keeper); err != nil {
		return nil, err
	}
	cfg.Log.Info("engine started", "version", s.hello.version, "library", lib.version(),
		"data", cfg.DataDir, "took", time.Since(began).Round(time.Millisecond).String())
	return s, nil
}

// stop closes the last connection, and with it the engine, unless a statement that
// could not be killed still holds one. chdb_shutdown is not called: it fails once a
// MergeTree table was there (26.7.3), and the process ends now anyway.
func (s *server) stop() {
	s.killing.Lock()
	defer s.killing.Unlock()
	s.keeper.close()
}

func (s *server) serve(ctx context.Context, cfg Config) error {
	ln, err := listen(cfg.Socket)
	if err != nil {
		return err
	}
	requests, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: stallTimeout,
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", cfg.Socket, err)
	case <-ctx.Done():
	}
	err = shutdown(srv, cfg.Grace)
	if err != nil {
		leave() // every running statement is killed
		err = shutdown(srv, killGrace)
	}
	<-served
	return err
}

// killGrace is how long killed statements get to end.
const killGrace = 5 * time.Second

func shutdown(srv *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return srv.Shutdown(ctx)
}

// listen makes the socket with mode 0600 from its first moment. The caller holds the
// data directory's lock, so a socket file that is already there is a dead process's.
func listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	old := syscall.Umask(0o177)
	ln, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return ln, nil
}

// lockWait is how long a new process waits for one that is just dying.
const lockWait = 3 * time.Second

// lockDir takes the directory for this process; the kernel gives it back when the
// process ends, however it ends.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	path := filepath.Join(dir, "store.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the store's lock: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			holder, _ := os.ReadFile(path) // only to say more
			f.Close()
			return nil, &LockedError{Dir: dir, Holder: string(holder)}
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := f.Truncate(0); err != nil {
		return nil, fmt.Errorf("write the store's lock: %w", err)
	}
	if _, err := fmt.Fprintf(f, "%d", os.Getpid()); err != nil {
		return nil, fmt.Errorf("write the store's lock: %w", err)
	}
	return f, nil
}
