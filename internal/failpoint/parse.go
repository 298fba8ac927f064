package failpoint

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// jump says that the clock is off by shift from a time after the start on.
type jump struct{ shift, after time.Duration }

// action is what a point does.
type action struct {
	word string
	run  func() error
}

// parse reads "point=action[@hits]" and "clock=shift@after,...", separated by semicolons. Hits: 3 = the third passing
// only, 3+ = from the third on, none = the first only.
func parse(text string) (*table, error) {
	t := &table{points: map[string]*point{}}
	for part := range strings.SplitSeq(text, ";") {
		name, what, ok := strings.Cut(strings.TrimSpace(part), "=")
		if strings.TrimSpace(part) == "" {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("%q is not point=action", part)
		}
		if name == "clock" {
			jumps, err := parseClock(what)
			if err != nil {
				return nil, err
			}
			t.clock = jumps
			continue
		}
		if !known(name) {
			return nil, fmt.Errorf("no point is called %q", name)
		}
		p, err := parsePoint(what)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		t.points[name] = p
	}
	return t, nil
}

func known(name string) bool {
	gateway, kafka, ingester := Points()
	return slices.Contains(slices.Concat(gateway, kafka, ingester, []string{BusCommit, BusCommitted}), name)
}

func parsePoint(what string) (*point, error) {
	word, hits, _ := strings.Cut(what, "@")
	p := &point{first: 1, last: 1}
	if hits != "" {
		digits, on := strings.CutSuffix(hits, "+")
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("hits %q: want a number from 1 on, or one with a plus", hits)
		}
		p.first, p.last = n, n
		if on {
			p.last = math.MaxInt
		}
	}
	do, err := parseAction(word)
	p.do = do
	return p, err
}

// errnos are the errors a disk or a network gives.
var errnos = map[string]syscall.Errno{"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EDQUOT": syscall.EDQUOT,
	"ECONNRESET": syscall.ECONNRESET, "ETIMEDOUT": syscall.ETIMEDOUT}

func parseAction(word string) (action, error) {
	verb, arg, _ := strings.Cut(word, ":")
	switch verb {
	case "kill":
		return action{word, func() error { Die(); return nil }}, nil
	case "stop": // SIGSTOP: whoever asked for it has to send SIGCONT
		return action{word, stop}, nil
	case "torn":
		return action{word, func() error { return ErrTorn }}, nil
	case "sleep":
		d, err := time.ParseDuration(arg)
		return action{word, func() error { time.Sleep(d); return nil }}, err
	case "error":
		if e, ok := errnos[arg]; ok {
			return action{word, func() error { return fmt.Errorf("failpoint: %w", e) }}, nil
		}
		return action{word, func() error { return errors.New("failpoint: " + arg) }}, nil
	}
	return action{}, fmt.Errorf("action %q is none of kill, stop, torn, sleep:2s, error:EIO", word)
}

func parseClock(what string) (jumps []jump, err error) {
	for part := range strings.SplitSeq(what, ",") {
		shift, after, _ := strings.Cut(part, "@")
		var j jump
		if j.shift, err = time.ParseDuration(strings.TrimPrefix(shift, "+")); err != nil {
			return nil, fmt.Errorf("clock: %w", err)
		}
		if after != "" {
			if j.after, err = time.ParseDuration(after); err != nil {
				return nil, fmt.Errorf("clock: %w", err)
			}
		}
		jumps = append(jumps, j)
	}
	return jumps, nil
}
