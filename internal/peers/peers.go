// Package peers starts the real servers that situ meets in life, natively on this machine: Apache Kafka in KRaft mode,
// Mosquitto, PostgreSQL. Each listens on free loopback ports, keeps its data in a directory it is given, answers when its Start
// returns, and dies with the process that started it. They can be stopped, killed, paused and started again on the
// same data and the same address; Proxy stands between them and a client and does what networks do.
//
// Callers: tests (Kafka, Mosquitto, Postgres: skipped with the reason where the server is not installed) and whatever needs the
// same without a test around it (StartKafka, StartMosquitto, StartPostgres). It never downloads anything, opens nothing beyond
// loopback, and imports nothing of situ.
package peers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// ErrAbsent: the server is not installed here; the text says how to get it.
var ErrAbsent = errors.New("not run")

// T is what is needed of a test.
type T interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	TempDir() string
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// started ends the test if err says so, and skips it when a server is not installed.
func started(t T, err error) {
	t.Helper()
	switch {
	case errors.Is(err, ErrAbsent):
		t.Skipf("%v", err)
	case err != nil:
		t.Fatalf("%v", err)
	}
}

// patience is how long a server may take to answer.
const patience = 2 * time.Minute

// until asks again and again until ok, or until the process ends, or patience does.
func until(p *process, what string, ok func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("%s ended: %w; it said:\n%s", what, p.err, p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w; it said:\n%s", what, err, p.said())
		}
	}
}

// Ports are taken below those that the system gives to outgoing connections: a server that is down must find its own
// free again.
const (
	lowestPort = 15_000
	ports      = 15_000
)

// FreeAddr gives a loopback address nobody listens on, and no outgoing connection will take meanwhile.
func FreeAddr(t T) string {
	t.Helper()
	addr, err := freeAddr()
	started(t, err)
	return addr
}

// freeAddr gives a loopback address nobody listens on.
func freeAddr() (string, error) {
	for range 1000 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowestPort+rand.IntN(ports)))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		return addr, ln.Close()
	}
	return "", errors.New("no free port on loopback")
}

// dial tells whether somebody accepts connections at addr.
func dial(ctx context.Context, addr string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}
