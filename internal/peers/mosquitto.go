package peers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"syscall"
)

// MosquittoServer is Eclipse Mosquitto with persistence: sessions and what waits in them survive Stop and, up to the
// last autosave (a second), Kill.
type MosquittoServer struct {
	addr, program, conf, log string
	run                      *process
}

// Mosquitto starts a broker for a test. Anybody may come in; queues have no bound. conf is added to its configuration,
// line by line, and may be "".
func Mosquitto(t T, conf string) *MosquittoServer {
	t.Helper()
	m, err := StartMosquitto(t.TempDir(), conf)
	started(t, err)
	t.Cleanup(m.Close)
	return m
}

// StartMosquitto starts a broker that keeps its data in dir.
func StartMosquitto(dir, conf string) (*MosquittoServer, error) {
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program = "/usr/sbin/mosquitto" // where Debian puts it, often outside PATH
		if _, err := os.Stat(program); err != nil {
			return nil, fmt.Errorf("%w: no mosquitto (Debian: apt install mosquitto)", ErrAbsent)
		}
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	m := &MosquittoServer{addr: addr, program: program, conf: filepath.Join(dir, "mosquitto.conf"), log: filepath.Join(dir, "mosquitto.log")}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	me, err := user.Current() // as root it would become somebody who may not write here
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nuser %s\npersistence true\npersistence_location %s/\nautosave_interval 1\n"+
		"max_queued_messages 0\nset_tcp_nodelay true\nlog_dest stderr\nlog_type error\nlog_type warning\n%s\n", port, me.Username, dir, conf)
	if err := os.WriteFile(m.conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return m, m.Start()
}

// Addr is where it listens, host:port.
func (m *MosquittoServer) Addr() string { return m.addr }

// Start starts it again, on its data and its address, and returns when it accepts connections.
func (m *MosquittoServer) Start() (err error) {
	if m.run != nil {
		return fmt.Errorf("mosquitto runs")
	}
	if m.run, err = launch(m.log, m.program, "-c", m.conf); err != nil {
		return err
	}
	return until(m.run, "mosquitto", func(ctx context.Context) error { return dial(ctx, m.addr) })
}

// Stop ends it as its operator would: it writes what it holds to disk first.
func (m *MosquittoServer) Stop() error { return m.end(syscall.SIGTERM) }

// Kill ends it at once.
func (m *MosquittoServer) Kill() error { return m.end(syscall.SIGKILL) }

func (m *MosquittoServer) end(s syscall.Signal) error {
	if m.run == nil {
		return fmt.Errorf("mosquitto does not run")
	}
	err := m.run.end(s)
	m.run = nil
	return err
}

// Pause stops its clock: it answers nothing and keeps its connections, until Resume.
func (m *MosquittoServer) Pause() error { return m.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (m *MosquittoServer) Resume() error { return m.signal(syscall.SIGCONT) }

func (m *MosquittoServer) signal(s syscall.Signal) error {
	if m.run == nil {
		return fmt.Errorf("mosquitto does not run")
	}
	return m.run.signal(s)
}

// Close kills it.
func (m *MosquittoServer) Close() {
	if m.run != nil {
		_ = m.Kill() // it is over either way
	}
}
