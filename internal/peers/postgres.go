package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// PostgresServer is a PostgreSQL cluster of its own with one user, situ, who wants a password (SCRAM) over TCP.
type PostgresServer struct {
	DSN      string // postgres://situ:...@127.0.0.1:port/postgres?sslmode=disable
	Local    string // over its Unix socket, without a password: a SCRAM handshake costs more than a small test
	Password string

	bin, dir string
	addr     string
	settings []string
	as       *syscall.Credential // nil: as this process
	run      *process
}

// Postgres starts a server for a test. Settings are "name=value". Without others it writes without fsync: it is to
// survive the death of its clients and its own, not a power loss.
func Postgres(t T, settings ...string) *PostgresServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "situ-postgres-") // not t.TempDir, which is closed to the account it runs as
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := StartPostgres(dir, append([]string{"fsync=off"}, settings...)...)
	started(t, err)
	t.Cleanup(s.Stop)
	return s
}

// StartPostgres makes a cluster in dir, which it takes over, and starts it.
func StartPostgres(dir string, settings ...string) (*PostgresServer, error) {
	s := &PostgresServer{dir: dir, Password: "sesame%& @/:?#", settings: settings}
	var err error
	if s.bin, err = postgresBin(); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if s.as, err = unprivileged(); err != nil {
			return nil, err
		}
	}
	if err := s.initialise(); err != nil {
		return nil, err
	}
	for range 3 { // somebody else may take the port between looking and listening
		if s.addr, err = freeAddr(); err != nil {
			return nil, err
		}
		if err = s.Start(); err == nil {
			break
		}
	}
	_, port, _ := net.SplitHostPort(s.addr) // as freeAddr made it
	s.DSN = fmt.Sprintf("postgres://situ:sesame%%25%%26%%20%%40%%2F%%3A%%3F%%23@%s/postgres?sslmode=disable", s.addr)
	s.Local = fmt.Sprintf("postgres:///postgres?user=situ&host=%s&port=%s", s.dir, port)
	return s, err
}

// postgresBin finds the folder of initdb and postgres: on the path, or where Debian keeps them.
func postgresBin() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // /usr/lib/postgresql/15/bin/initdb
		return n
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", fmt.Errorf("%w: no PostgreSQL (Debian: apt install postgresql)", ErrAbsent)
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

// unprivileged is the account a server runs as that root starts: PostgreSQL refuses to be root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("%w: PostgreSQL refuses to be root, and there is no user postgres or nobody", ErrAbsent)
}

// initialise makes the cluster's files.
func (s *PostgresServer) initialise() error {
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.Password+"\n"), 0o600); err != nil {
		return err
	}
	if s.as != nil {
		uid, gid := int(s.as.Uid), int(s.as.Gid)
		if err := errors.Join(os.Chown(s.dir, uid, gid), os.Chown(secret, uid, gid)); err != nil {
			return err
		}
	}
	p, err := s.launch("initdb", "--pgdata", s.data(), "--username", "situ", "--pwfile", secret, "--auth-host", "scram-sha-256",
		"--auth-local", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync")
	if err != nil {
		return err
	}
	<-p.ended
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("initdb: %w; it said:\n%s", p.err, p.said())
	}
	return nil
}

func (s *PostgresServer) launch(program string, args ...string) (*process, error) {
	return launchAs(filepath.Join(s.dir, "log"), s.as, filepath.Join(s.bin, program), args...)
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

// Start starts the server, again on the same port after Stop or Kill, and waits until it takes connections.
func (s *PostgresServer) Start() error {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	args := []string{"-D", s.data(), "-p", port, "-c", "listen_addresses=" + host, "-c", "unix_socket_directories=" + s.dir,
		"-c", "max_connections=60", "-c", "lc_messages=C"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	if s.run, err = s.launch("postgres", args...); err != nil {
		return err
	}
	err = until(s.run, "postgres", func(context.Context) error { return s.ready() })
	if err != nil {
		s.Kill()
	}
	return err
}

// ready reads what the server notes of itself for pg_ctl: its process id first, and last how it is.
func (s *PostgresServer) ready() error {
	b, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return err
	}
	if note := strings.Fields(string(b)); len(note) == 0 || note[0] != strconv.Itoa(s.run.cmd.Process.Pid) || note[len(note)-1] != "ready" {
		return fmt.Errorf("its state is %q", note)
	}
	return nil
}

// Log is the last of what the server has said.
func (s *PostgresServer) Log() string { return s.run.said() }

// Stop ends the server in good order: sessions are cut, what was committed is written. It may have ended already.
func (s *PostgresServer) Stop() { s.end(syscall.SIGINT) }

// Kill ends the server as a crash would; Start then recovers.
func (s *PostgresServer) Kill() { s.end(syscall.SIGQUIT) }

func (s *PostgresServer) end(how syscall.Signal) {
	if err := s.run.end(how); err != nil {
		_ = s.run.end(syscall.SIGKILL)
	}
}
