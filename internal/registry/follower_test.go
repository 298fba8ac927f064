package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// feed serves registries as cmd/query does, small pages, and can be broken on purpose.
type feed struct {
	*httptest.Server
	registry atomic.Pointer[Registry]
	fault    atomic.Pointer[http.HandlerFunc]
}

func serve(t *testing.T, r *Registry) *feed {
	f := &feed{}
	f.registry.Store(r)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if h := f.fault.Load(); h != nil {
			(*h)(w, q)
			return
		}
		if q.URL.Path != "/v1/registry/changes" || q.Header.Get("Authorization") != "Bearer situ_key" {
			http.Error(w, "no key", http.StatusUnauthorized)
			return
		}
		since, _ := strconv.ParseUint(q.URL.Query().Get("since"), 10, 64)
		page, err := f.registry.Load().Page(q.Context(), since, 100)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(page)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *feed) follow(t *testing.T, file string) *Follower {
	t.Helper()
	o := FollowerOptions{URL: f.URL + "/", Key: "situ_key", File: file, Poll: time.Millisecond, Client: f.Client()}
	w, err := NewFollower(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// run starts w and returns how to stop it.
func run(t *testing.T, w *Follower) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

// reaches waits until the follower shows what the registry has.
func reaches(t *testing.T, w *Follower, r *Registry) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		s, want := w.Snapshot(), r.Snapshot()
		if s.id == want.id && s.version == want.version {
			if dump(t, s) != dump(t, want) {
				t.Fatal("the follower holds something else")
			}
			return
		}
		select {
		case <-s.Superseded():
		case <-deadline:
			t.Fatalf("stuck at version %d of %d: %+v", s.version, want.version, w.Status())
		}
	}
}

// A stop on a full disk is a stop: the next start asks the registry for what could not be written.
func TestStopWithoutRoomForTheSnapshotIsNoFailure(t *testing.T) {
	r := someLedger(t)
	f := serve(t, r)
	w := f.follow(t, filepath.Join(t.TempDir(), "no such directory", "registry.snapshot"))
	stop := run(t, w)
	reaches(t, w, r)
	stop() // judges
}

func testFollower(t *testing.T, db fresh) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // runs after the server and the registry are closed
	r := db.someLedger(t)
	f := serve(t, r)
	file := filepath.Join(t.TempDir(), "registry.snapshot")
	w := f.follow(t, file)
	if w.Snapshot().Version() != 0 {
		t.Error("knows something before it asked")
	}
	stop := run(t, w)
	reaches(t, w, r)
	for i := range 8 {
		x := thing("city/serial")
		x.Serial = strconv.Itoa(i)
		if _, err := r.PutThing(t.Context(), x); err != nil {
			t.Fatal(err)
		}
		reaches(t, w, r)
	}
	stop()

	// No link: another life on the file alone.
	asked := make(chan struct{}, 100)
	down := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		asked <- struct{}{}
	})
	f.fault.Store(&down)
	alone := f.follow(t, file)
	if alone.Snapshot().Version() != r.Snapshot().Version() || dump(t, alone.Snapshot()) != dump(t, r.Snapshot()) {
		t.Error("the file does not hold what was known")
	}
	stop = run(t, alone)
	<-asked
	<-asked
	if _, err := r.PutThing(t.Context(), thing("city/later")); err != nil {
		t.Fatal(err)
	}
	f.fault.Store(nil)
	reaches(t, alone, r)
	stop()
	if s := alone.Status(); s.Err != nil || s.Synced.IsZero() || s.Head != r.Snapshot().Version() {
		t.Errorf("status %+v", s)
	}
	if _, ok := alone.Snapshot().Thing("city/later"); !ok {
		t.Error("city/later did not arrive")
	}
}

// The registry was made anew: what is known is served until the new one is known whole.
func testFollowerMeetsAnotherRegistry(t *testing.T, db fresh) {
	old := db.someLedger(t)
	f := serve(t, old)
	w := f.follow(t, filepath.Join(t.TempDir(), "s"))
	if err := w.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	known := w.Snapshot()

	next := db.openNew(t)
	f.registry.Store(next)
	if err := w.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.Snapshot() != known {
		t.Error("an empty registry took everything away")
	}
	if _, err := next.Declare(t.Context(), declarations(300)); err != nil {
		t.Fatal(err)
	}
	pages := 0
	h := http.HandlerFunc(func(rw http.ResponseWriter, q *http.Request) {
		if pages++; pages == 2 {
			http.Error(rw, "half way", http.StatusBadGateway)
			return
		}
		since, _ := strconv.ParseUint(q.URL.Query().Get("since"), 10, 64)
		page, _ := next.Page(q.Context(), since, 100)
		json.NewEncoder(rw).Encode(page)
	})
	f.fault.Store(&h)
	if err := w.catchUp(t.Context()); err == nil || w.Snapshot() != known {
		t.Errorf("half a registry is shown, %v", err)
	}
	if err := w.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	reaches(t, w, next)
}

// A restored backup: same registry, fewer changes.
func TestFollowerMeetsABackup(t *testing.T) {
	dir := t.TempDir()
	r := open(t, filepath.Join(dir, "r.db"))
	if _, err := r.PutThing(t.Context(), thing("city/a")); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(dir, "backup.db")
	if _, err := r.write.Exec("VACUUM INTO ?", backup); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PutThing(t.Context(), thing("city/b")); err != nil {
		t.Fatal(err)
	}
	f := serve(t, r)
	w := f.follow(t, "")
	if err := w.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	restored := open(t, backup)
	if restored.ID() != r.ID() || restored.Snapshot().Version() != 1 {
		t.Fatalf("backup is %s at %d", restored.ID(), restored.Snapshot().Version())
	}
	f.registry.Store(restored)
	if err := w.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	reaches(t, w, restored)
}

func TestFollowerRefusesNonsense(t *testing.T) {
	a, _ := json.Marshal(thing("city/a"))
	alone, _ := json.Marshal(stream("city/nobody", "pm10", "x"))
	for name, body := range map[string]string{
		"no json":    "<html>",
		"cut":        `{"registry":"x","head":1,"changes":[{"number":1`,
		"repeated":   `{"registry":"x","head":2,"next":1,"changes":[{"number":1,"thing":` + string(a) + `},{"number":1,"thing":` + string(a) + `}]}`,
		"wrong next": `{"registry":"x","head":9,"next":9,"changes":[{"number":1,"thing":` + string(a) + `}]}`,
		"no Thing":   `{"registry":"x","head":1,"next":1,"changes":[{"number":1,"datastream":` + string(alone) + `}]}`,
	} {
		f := serve(t, nil)
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) })
		f.fault.Store(&h)
		w := f.follow(t, "")
		before := w.Snapshot()
		if err := w.catchUp(t.Context()); err == nil || w.Snapshot() != before {
			t.Errorf("%s: taken (%v)", name, err)
		}
	}
	f := serve(t, openNew(t))
	w, err := NewFollower(FollowerOptions{URL: f.URL, Key: "wrong"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.catchUp(t.Context()); err == nil || !strings.Contains(err.Error(), "401 Unauthorized: no key") {
		t.Errorf("wrong key: %v", err)
	}
	for _, u := range []string{"", "query:8080", "ftp://x", "http://", "://"} {
		if _, err := NewFollower(FollowerOptions{URL: u}); err == nil {
			t.Errorf("follows %q", u)
		}
	}
}

func TestFollowerLeavesABadFileAside(t *testing.T) {
	r := someLedger(t)
	f := serve(t, r)
	file := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(file, []byte("no snapshot"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := f.follow(t, file)
	if err := errors.Join(w.catchUp(t.Context()), w.save()); err != nil {
		t.Fatal(err)
	}
	reaches(t, w, r)
	if s, err := LoadSnapshot(file); err != nil || s.Version() != r.Snapshot().Version() {
		t.Errorf("file: %v", err)
	}
	if b, err := os.ReadFile(file + ".bad"); err != nil || string(b) != "no snapshot" {
		t.Errorf("the bad file is gone: %v", err)
	}
}

func TestFollowerWaitsLongerEachTime(t *testing.T) {
	w := serve(t, nil).follow(t, "")
	w.opt.Poll = time.Second
	for i := range 20 {
		longest := min(time.Second<<(i+1), slowestPoll)
		if i > 10 {
			longest = slowestPoll
		}
		if pause := w.pause(errors.New("broken")); pause < longest/2 || pause > longest {
			t.Errorf("question %d waits %v, want %v to %v", i, pause, longest/2, longest)
		}
	}
	if w.Status().Err == nil {
		t.Error("the failure is not told")
	}
	if got := w.pause(nil); got != time.Second {
		t.Errorf("after an answer: %v", got)
	}
	if got := w.pause(errors.New("broken again")); got > 2*time.Second {
		t.Errorf("after an answer and a failure: %v", got)
	}
}

var _ interface { // both sides give the same look-ups
	Snapshot() *Snapshot
} = (*Follower)(nil)
