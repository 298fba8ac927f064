package torture

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
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

	Recovery      Times            `json:"recovery"`            // from a kill and nothing else
	RecoveryBeset Times            `json:"recovery_beset"`      // from a kill with another fault meanwhile
	RecoveryFrom  map[string]Times `json:"recovery_by_process"` // by what was killed, or done
	Load          Load             `json:"load"`

	Failures    []string `json:"failures,omitempty"`
	FailedRound int      `json:"failed_round,omitempty"`
	Checks      []string `json:"checks"`            // that were made
	Missing     []string `json:"missing,omitempty"` // and that could not be
	Dir         string   `json:"dir,omitempty"`

	mu    sync.Mutex // guards all of it while the run goes on
	began time.Time
	times map[string][]time.Duration // by process
	beset []time.Duration            // of those with another fault
	loads []float64
	more  []string // checks beside those of the judge
}

func newReport(cfg Config) *Report {
	return &Report{World: cfg.World, Seed: cfg.Seed, Faults: cfg.Faults, Dir: cfg.Dir, began: time.Now(),
		Inflicted: map[string]int{}, Kills: map[string]int{}, Versions: map[string]string{}, times: map[string][]time.Duration{}, RecoveryFrom: map[string]Times{}}
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
	if v.beset {
		r.beset = append(r.beset, v.took)
		return
	}
	kind := strings.TrimRight(v.process, "0123456789")
	r.times[kind] = append(r.times[kind], v.took)
}

// Times are how long something took.
type Times struct {
	Count int           `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

func timesOf(list []time.Duration) Times {
	n := len(list)
	if n == 0 {
		return Times{}
	}
	slices.Sort(list)
	return Times{Count: n, P50: list[n/2], P99: list[(n*99-1)/100], Max: list[n-1]}
}

func (t Times) String() string {
	ms := time.Millisecond
	return fmt.Sprintf("%d times, p50 %s, p99 %s, longest %s", t.Count, t.P50.Round(ms), t.P99.Round(ms), t.Max.Round(ms))
}

// Load is how busy the machine was: how many processes wanted to run, on the average of a minute, as it was at each
// round's end. Times are to be read by it.
type Load struct {
	CPUs int     `json:"cpus"`
	Mean float64 `json:"mean"`
	Most float64 `json:"most"`
}

func loadOf(list []float64) Load {
	l := Load{CPUs: runtime.NumCPU()}
	for _, v := range list {
		l.Mean += v / float64(len(list))
		l.Most = max(l.Most, v)
	}
	return l
}

// sampleLoad notes it once more.
func (r *Report) sampleLoad() {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return // there is none but on Linux
	}
	var v float64
	if _, err := fmt.Sscan(string(b), &v); err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loads = append(r.loads, v)
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
	var all []time.Duration
	for process, list := range r.times {
		all = append(all, list...)
		r.RecoveryFrom[process] = timesOf(list)
	}
	r.Recovery, r.RecoveryBeset, r.Load = timesOf(all), timesOf(r.beset), loadOf(r.loads)
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
	fmt.Fprintf(w, "recovery      %s, to the first new row%s\n", r.Recovery, map[bool]string{true: " from each gateway"}[r.World == Kafka])
	for _, process := range slices.Sorted(maps.Keys(r.RecoveryFrom)) {
		fmt.Fprintf(w, "  of %-10s %s\n", process, r.RecoveryFrom[process])
	}
	fmt.Fprintf(w, "  and beset     %s: by another fault on top\n", r.RecoveryBeset)
	fmt.Fprintf(w, "load          %.1f on the average, %.1f at most, on %d processors\n", r.Load.Mean, r.Load.Most, r.Load.CPUs)
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
