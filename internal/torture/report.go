package torture

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Report is what a run found.
type Report struct {
	World    string            `json:"world"`
	Seed     uint64            `json:"seed"`
	Faults   []string          `json:"fault_kinds"`
	Versions map[string]string `json:"versions"`
	Rounds   int               `json:"rounds"`
	Took     time.Duration     `json:"took_ns"`

	Inflicted map[string]int `json:"faults"` // by kind
	Kills     map[string]int `json:"kills"`  // by process, at failpoints or by kill -9

	Messages  int    `json:"messages"`
	Published int    `json:"published"` // with what was sent again
	Acked     int    `json:"acknowledged"`
	Once      int    `json:"acknowledged_qos2"` // of them with QoS 2
	Rows      uint64 `json:"rows"`
	Letters   uint64 `json:"dead_letters"`
	Empty     uint64 `json:"empty"`
	Lost      int    `json:"lost"`
	Double    int    `json:"double"`
	Gaps      uint64 `json:"messages_in_declared_gaps"`
	WithLog   int    `json:"lost_with_a_log"` // by ruptures under load, and no more than the balance misses
	Rollups   int    `json:"rollup_values_checked"`

	Recoveries  int           `json:"recoveries"`
	RecoveryP50 time.Duration `json:"recovery_p50_ns"`
	RecoveryP99 time.Duration `json:"recovery_p99_ns"`
	RecoveryMax time.Duration `json:"recovery_max_ns"`

	Failures    []string `json:"failures,omitempty"`
	FailedRound int      `json:"failed_round,omitempty"`
	Checks      []string `json:"checks"`            // that were made
	Missing     []string `json:"missing,omitempty"` // and that could not be
	Dir         string   `json:"dir,omitempty"`

	mu    sync.Mutex // guards all of it while the run goes on
	began time.Time
	times []time.Duration
	more  []string // checks beside those of the judge
}

func newReport(cfg Config) *Report {
	return &Report{World: cfg.World, Seed: cfg.Seed, Faults: cfg.Faults, Dir: cfg.Dir, began: time.Now(),
		Inflicted: map[string]int{}, Kills: map[string]int{}, Versions: map[string]string{}}
}

func (r *Report) kill(process string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Kills[process]++
}

func (r *Report) fault(kind string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Inflicted[kind]++
}

func (r *Report) had(kind string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Inflicted[kind] > 0
}

// check notes what was checked, once.
func (r *Report) check(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.more, what) {
		r.more = append(r.more, what)
	}
}

func (r *Report) recovered(v recovery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, v.took)
}

// maxFailures bounds how many are told: the first ones are the cause.
const maxFailures = 40

func (r *Report) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
	}
}

// TotalKills adds up all processes.
func (r *Report) TotalKills() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.Kills {
		n += k
	}
	return n
}

func (r *Report) note() string {
	return fmt.Sprintf("%d rounds, %d kills, %d lost, %d double", r.Rounds, r.TotalKills(), r.Lost, r.Double)
}

func (r *Report) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Took = time.Since(r.began)
	r.Checks = append(r.Checks, r.more...)
	slices.Sort(r.times)
	r.Recoveries = len(r.times)
	if n := len(r.times); n > 0 {
		r.RecoveryP50, r.RecoveryP99, r.RecoveryMax = r.times[n/2], r.times[(n*99-1)/100], r.times[n-1]
	}
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Text writes it for people.
func (r *Report) Text(w io.Writer) {
	fmt.Fprintf(w, "world         %s, seed %d\n", r.World, r.Seed)
	fmt.Fprintf(w, "versions      %s\n", pairs(r.Versions))
	fmt.Fprintf(w, "rounds        %d in %s\n", r.Rounds, r.Took.Round(time.Second))
	fmt.Fprintf(w, "faults        %s\n", pairs(r.Inflicted))
	fmt.Fprintf(w, "kills         %d: %s\n", r.TotalKills(), pairs(r.Kills))
	fmt.Fprintf(w, "messages      %d, published %d times, %d acknowledged, of them %d with QoS 2\n", r.Messages, r.Published, r.Acked, r.Once)
	fmt.Fprintf(w, "stored        %d rows, %d dead letters, %d empty with a reason\n", r.Rows, r.Letters, r.Empty)
	fmt.Fprintf(w, "lost          %d (in declared gaps %d; with a log that was taken away, and shown by the balance, %d)\n", r.Lost, r.Gaps, r.WithLog)
	fmt.Fprintf(w, "double        %d\n", r.Double)
	fmt.Fprintf(w, "recovery      %d times, to the first new row: p50 %s, p99 %s, longest %s\n", r.Recoveries,
		r.RecoveryP50.Round(time.Millisecond), r.RecoveryP99.Round(time.Millisecond), r.RecoveryMax.Round(time.Millisecond))
	fmt.Fprintf(w, "checked       %s\n", strings.Join(r.Checks, "; "))
	for _, m := range r.Missing {
		fmt.Fprintf(w, "not checked   %s\n", m)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(w, "FAILED        %s\n", f)
	}
	if len(r.Failures) > 0 {
		fmt.Fprintf(w, "all of it     in %s: torture.log, sent.list, logs of the processes\n", r.Dir)
		fmt.Fprintf(w, "again         situ torture --world %s --seed %d --round %d\n", r.World, r.Seed, r.FailedRound)
	}
}

func pairs[V any](m map[string]V) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%s %v", k, m[k]))
	}
	return strings.Join(list, ", ")
}
