package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// PostgresServer is a PostgreSQL server of its own: a cluster in a temporary directory, on a free port of 127.0.0.1,
// with a password (SCRAM). It ends with the test.
type PostgresServer struct {
	DSN      string // postgres://situ:...@127.0.0.1:port/postgres?sslmode=disable
	Local    string // over its Unix socket, without a password: a SCRAM handshake costs more than a small test
	Password string

	bin, dir string
	port     int
	settings []string
	as       *syscall.Credential // nil: as this process
	child    *postmaster
}

// postmaster is one life of the server.
type postmaster struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed when it takes connections
	ended chan struct{} // closed when it has ended and all it said was read
	mu    sync.Mutex    // guards said
	said  []string
}

// startWithin bounds what may take long on a machine that is busy.
const startWithin = time.Minute

// Postgres starts a server and gives its address. Where PostgreSQL is not installed the test is skipped.
func Postgres(t testing.TB) (dsn string) { return StartPostgres(t).DSN }

// StartPostgres is Postgres for those who stop it in the middle. Settings are "name=value". Without others it writes
// without fsync: it is to survive the death of its clients, not a power loss.
func StartPostgres(t testing.TB, settings ...string) *PostgresServer {
	t.Helper()
	s := &PostgresServer{bin: postgresBin(t), Password: "sesame%& @/:?#", settings: append([]string{"fsync=off"}, settings...)}
	if os.Geteuid() == 0 {
		s.as = unprivileged(t)
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "situ-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	})
	if err := s.initialise(); err != nil {
		t.Fatal(err)
	}
	for attempt := range 5 { // somebody else may take the port between looking and listening
		s.port = freePort(t)
		if err = s.Start(); err == nil {
			break
		}
		t.Logf("attempt %d: %v", attempt, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.DSN = fmt.Sprintf("postgres://situ:%s@127.0.0.1:%d/postgres?sslmode=disable", "sesame%25%26%20%40%2F%3A%3F%23", s.port)
	s.Local = fmt.Sprintf("postgres:///postgres?user=situ&host=%s&port=%d", s.dir, s.port)
	return s
}

// postgresBin finds the folder of initdb and postgres: on the path, or where Debian keeps them.
func postgresBin(t testing.TB) string {
	t.Helper()
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p)
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // /usr/lib/postgresql/15/bin/initdb
		return n
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Skip("not run: PostgreSQL is not installed (Debian: apt install postgresql)")
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }))
}

// unprivileged is the account a server runs as when the test runs as root, which PostgreSQL refuses to be.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32) // a passwd file holds numbers
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Skip("not run: PostgreSQL refuses to run as root, and there is no user postgres or nobody")
	return nil
}

func freePort(t testing.TB) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// initialise makes the cluster's files.
func (s *PostgresServer) initialise() error {
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.Password+"\n"), 0o600); err != nil {
		return err
	}
	if s.as != nil {
		err := errors.Join(os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)), os.Chown(secret, int(s.as.Uid), int(s.as.Gid)))
		if err != nil {
			return err
		}
	}
	out, err := s.command("initdb", "--pgdata", s.data(), "--username", "situ", "--pwfile", secret, "--auth-host", "scram-sha-256", "--auth-local", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

// command runs one of PostgreSQL's programs in English, as the account that may.
func (s *PostgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"LC_ALL=C.UTF-8", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// Start starts the server, again on the same port after a Stop or a Kill, and waits until it takes connections.
func (s *PostgresServer) Start() error {
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=" + s.dir, "-c", "max_connections=60"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	p := &postmaster{cmd: s.command("postgres", args...), ready: make(chan struct{}), ended: make(chan struct{})}
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	go p.follow(pipe)
	select {
	case <-p.ready:
		s.child = p
		return nil
	case <-p.ended:
		return fmt.Errorf("postgres ended at once:\n%s", p.words())
	case <-time.After(startWithin):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("postgres is not ready after %v:\n%s", startWithin, p.words())
	}
}

// follow reads what the server says until it has ended.
func (p *postmaster) follow(pipe io.Reader) {
	defer close(p.ended)
	ready := false
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		p.mu.Lock()
		p.said = append(p.said, lines.Text())
		p.mu.Unlock()
		if !ready && strings.Contains(lines.Text(), "database system is ready to accept connections") {
			ready = true
			close(p.ready)
		}
	}
	_, _ = io.Copy(io.Discard, pipe) // after a line that is too long
	_ = p.cmd.Wait()
}

func (p *postmaster) words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said, "\n")
}

// Log is what the server has said in this life.
func (s *PostgresServer) Log() string { return s.child.words() }

// Stop ends the server in good order: sessions are cut, what was committed is written. It may have ended already.
func (s *PostgresServer) Stop() { s.end(syscall.SIGINT) }

// Kill ends the server as a crash would; Start then recovers.
func (s *PostgresServer) Kill() { s.end(syscall.SIGQUIT) }

func (s *PostgresServer) end(how syscall.Signal) {
	if s.child == nil {
		return
	}
	_ = s.child.cmd.Process.Signal(how) // gone already: ended is closed
	select {
	case <-s.child.ended:
	case <-time.After(startWithin):
		_ = syscall.Kill(-s.child.cmd.Process.Pid, syscall.SIGKILL)
		<-s.child.ended
	}
}
