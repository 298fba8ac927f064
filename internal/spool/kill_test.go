package spool

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// childEnv makes the test binary the process that is killed: it appends to the spool in the named directory.
const childEnv = "SITU_SPOOL_KILL_DIR"

const killWriters = 4

// TestKillLosesNothing kills a process that appends from several goroutines, 50 times in the same directory. After
// each kill every record that was ever acknowledged must be there, intact, and each writer's in its order.
func TestKillLosesNothing(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 5
	}
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	acked := map[string]string{} // name of a record -> its checksum
	for kill := range kills {
		runAndKill(t, dir, kill, time.Duration(rnd.Int64N(int64(40*time.Millisecond))), acked)
		verifyKilled(t, dir, acked)
	}
	if len(acked) < kills*10 {
		t.Fatalf("only %d records were acknowledged: the test did not test", len(acked))
	}
	t.Logf("%d kills, %d acknowledged, 0 lost", kills, len(acked))
}

func runAndKill(t *testing.T, dir string, run int, after time.Duration, acked map[string]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, "SITU_SPOOL_KILL_RUN="+strconv.Itoa(run))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var timer *time.Timer
	for lines.Scan() {
		if timer == nil { // it appends from now on: any instant will do
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		if name, sum, ok := strings.Cut(lines.Text(), " "); ok && len(sum) == 8 {
			acked[name] = sum
		}
	}
	_ = cmd.Wait() // killed
	if timer == nil {
		t.Fatal("the child acknowledged nothing")
	}
}

func verifyKilled(t *testing.T, dir string, acked map[string]string) {
	t.Helper()
	s, err := Open(Config{Dir: dir, SegmentBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found := map[string]string{}
	latest := map[string]int{} // run and writer -> its last record
	for _, b := range readAll(t, s, 1) {
		head, _, _ := bytes.Cut(b, []byte{0})
		name := string(head)
		found[name] = crcOf(b)
		writer, number, _ := strings.Cut(name, "#")
		n, err := strconv.Atoi(number)
		if err != nil || n != latest[writer]+1 {
			t.Fatalf("after record %d of writer %s comes %q", latest[writer], writer, name)
		}
		latest[writer] = n
	}
	for name, sum := range acked {
		if found[name] != sum {
			t.Fatalf("acknowledged record %s: checksum %q, want %q", name, found[name], sum)
		}
	}
}

// child appends until it is killed, and prints the name and checksum of each record that was acknowledged.
func child() {
	s, err := Open(Config{Dir: os.Getenv(childEnv), SegmentBytes: 64 << 10, CommitDelay: 500 * time.Microsecond})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() { childWriter(s, w) })
	}
	wg.Wait()
}

func childWriter(s *Spool, w int) {
	prefix := fmt.Sprintf("%s-%d#", os.Getenv("SITU_SPOOL_KILL_RUN"), w)
	a := childAcks{window: make(chan struct{}, 50), prefix: prefix}
	for n := 1; ; n++ {
		a.window <- struct{}{} // at most 50 unanswered
		if err := s.Append(childBody(prefix, uint64(n)), Ack{a, uint64(n)}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func childBody(prefix string, n uint64) []byte {
	b := append([]byte(prefix+strconv.FormatUint(n, 10)), 0)
	return append(b, bytes.Repeat([]byte{byte(n)}, int(n*31%400))...)
}

type childAcks struct {
	window chan struct{}
	prefix string
}

// Acked writes one line in one system call, so that a kill leaves whole lines.
func (a childAcks) Acked(n uint64, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s%d %s\n", a.prefix, n, crcOf(childBody(a.prefix, n)))
	<-a.window
}
