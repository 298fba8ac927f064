package kafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/situ-city/situ/internal/bus"
	"github.com/situ-city/situ/internal/bus/bustest"
	"github.com/situ-city/situ/pkg/sensor"
)

// memberEnv makes the test binary a member of a group that takes one partition, commits, waits for a line on its input
// and commits again: "topic partition broker,broker".
const memberEnv = "SITU_KAFKA_TEST_MEMBER"

func member(args string) int {
	var topic, brokers string
	var part int32
	if _, err := fmt.Sscan(args, &topic, &part, &brokers); err != nil {
		fmt.Println(err)
		return 1
	}
	b, err := Open(Config{Brokers: strings.Split(brokers, ","), Topic: topic, Timeout: 5 * time.Second, SessionTimeout: 2 * time.Second, RebalanceTimeout: 2 * time.Second})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	enough := errors.New("enough")
	err = b.Group("ingest-"+topic).Consume(context.Background(), func(ctx context.Context, a bus.Assignment) error {
		if a.Partition() != part {
			<-ctx.Done()
			return nil
		}
		if err := a.Commit(ctx, bus.Position{Offset: 1, Meta: "before the pause"}); err != nil {
			return err
		}
		fmt.Println("committed")
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return err
		}
		err := a.Commit(context.Background(), bus.Position{Offset: 2, Meta: "zombie"})
		fmt.Println("then:", errors.Is(err, bus.ErrGeneration), err)
		return enough
	})
	if !errors.Is(err, enough) {
		fmt.Println(err)
		return 1
	}
	return 0
}

// pausedMember: a process that sleeps past its session's end and wakes up with a commit in its hand is refused.
func pausedMember(t *testing.T, w *world) {
	w.Publish(t, sensor.Live, bustest.Messages(31, 10))
	w.Publish(t, sensor.Live, bustest.Messages(32, 10))
	part := w.Partition(sensor.Live)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", memberEnv, w.topic, part, strings.Join(w.brokers, ",")))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		_ = cmd.Wait()
	}()
	lines := bufio.NewScanner(out)
	said := func(want string) {
		t.Helper()
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), want) {
			t.Fatalf("the member says %q, want %q; %v", lines.Text(), want, lines.Err())
		}
	}
	said("committed")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	took := make(chan error, 1)
	done := make(chan error, 1)
	go func() {
		done <- w.member(t).Consume(ctx, func(ctx context.Context, a bus.Assignment) error {
			if a.Partition() == part {
				p, err := a.Committed(ctx)
				if err == nil && p != (bus.Position{Offset: 1, Meta: "before the pause"}) {
					err = fmt.Errorf("the heir finds %+v", p)
				}
				if err == nil {
					err = a.Commit(ctx, bus.Position{Offset: 2, Meta: "heir"})
				}
				took <- err
			}
			<-ctx.Done()
			return nil
		})
	}()
	defer func() { cancel(); <-done }()
	if err := <-took; err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("wake up\n")); err != nil {
		t.Fatal(err)
	}
	said("then: true")
	if p, err := w.bus.Group("ingest-"+w.topic).Committed(t.Context(), part); err != nil || p.Meta != "heir" {
		t.Errorf("in the end the group stands at %+v, %v", p, err)
	}
}

// TestPausedMember runs on Kafka's double; TestApacheKafka runs the same on the real one.
func TestPausedMember(t *testing.T) { pausedMember(t, newWorld(t)) }
