package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Followers' defaults.
const (
	DefaultPoll = 2 * time.Second
	DefaultSave = time.Minute
	slowestPoll = time.Minute // while the registry does not answer
	maxAnswer   = 256 << 20   // bytes of one page
)

// FollowerOptions say whom to follow.
type FollowerOptions struct {
	URL    string           // of cmd/query, such as http://query:8080
	Key    string           // bearer key
	File   string           // snapshot file; "" = none, the follower begins anew at each start
	Client *http.Client     // nil = one that waits at most 30 seconds for an answer
	Poll   time.Duration    // between questions; 0 = DefaultPoll
	Save   time.Duration    // at most this much is asked for again after a crash; 0 = DefaultSave
	Logger *slog.Logger     // nil = silent
	Clock  func() time.Time // nil = time.Now
}

// Follower is the reading side of the ledger, for gateways and ingesters: a Snapshot fed by the change feed over HTTP.
// While there is no link it serves what it knows.
type Follower struct {
	opt    FollowerOptions
	feed   string
	snap   atomic.Pointer[Snapshot]
	status atomic.Pointer[FollowerStatus]

	// Owned by Run.
	base  *Snapshot // what the next page goes on top of; ahead of snap only while starting over
	saved *Snapshot // what the file holds
	fails int       // questions in a row that failed
}

// FollowerStatus tells how near a follower is.
type FollowerStatus struct {
	Head   uint64    // newest change the registry told of
	Synced time.Time // when the follower last had all of them; zero = not since it started
	Err    error     // why the last question failed; nil = it did not
}

// NewFollower reads the snapshot file, if there is one. A file that cannot be used is logged and left aside: all it
// holds can be asked for again.
func NewFollower(o FollowerOptions) (*Follower, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("follow registry at %q: want http://host:port or https://host:port", o.URL)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 30 * time.Second}
	}
	if o.Poll <= 0 {
		o.Poll = DefaultPoll
	}
	if o.Save <= 0 {
		o.Save = DefaultSave
	}
	f := &Follower{opt: o, feed: strings.TrimSuffix(o.URL, "/") + "/v1/registry/changes", base: emptySnapshot("")}
	if o.File != "" {
		switch s, err := LoadSnapshot(o.File); {
		case err == nil:
			f.base, f.saved = s, s
		case !errors.Is(err, fs.ErrNotExist):
			o.Logger.Error("registry snapshot left aside", "component", "registry", "err", err)
			if err := os.Rename(o.File, o.File+".bad"); err != nil {
				return nil, fmt.Errorf("follow registry: %w", err)
			}
		}
	}
	f.snap.Store(f.base)
	f.status.Store(&FollowerStatus{})
	return f, nil
}

// Snapshot is the newest state known here. It costs one atomic load.
func (f *Follower) Snapshot() *Snapshot { return f.snap.Load() }

// Status tells how near the follower is.
func (f *Follower) Status() FollowerStatus { return *f.status.Load() }

// Run follows until ctx ends, then writes the snapshot file a last time and returns how that went.
func (f *Follower) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	lastSave := f.opt.Clock()
	for {
		select {
		case <-ctx.Done():
			f.keep()
			return nil
		case <-timer.C:
		}
		err := f.catchUp(ctx)
		if ctx.Err() != nil {
			f.keep()
			return nil
		}
		timer.Reset(f.pause(err))
		if now := f.opt.Clock(); now.Sub(lastSave) >= f.opt.Save || f.saved == nil {
			lastSave = now
			f.keep()
		}
	}
}

// pause records how it went and gives the time until the next question: after a failure twice as long each time, with
// a random part so that a thousand gateways do not return together.
func (f *Follower) pause(err error) time.Duration {
	switch {
	case err != nil && f.fails == 0:
		f.opt.Logger.Warn("registry does not answer; going on with what is known", "component", "registry",
			"version", f.Snapshot().version, "err", err)
	case err == nil && f.fails > 0:
		f.opt.Logger.Info("registry answers again", "component", "registry", "version", f.Snapshot().version)
	}
	if err == nil {
		f.fails = 0
		return f.opt.Poll
	}
	status := f.Status()
	status.Err = err
	f.status.Store(&status)
	f.fails = min(f.fails+1, 16)
	longest := min(f.opt.Poll<<f.fails, max(slowestPoll, f.opt.Poll))
	return longest/2 + rand.N(longest/2+1)
}

// catchUp asks for pages until there is nothing new.
func (f *Follower) catchUp(ctx context.Context) error {
	for {
		since := f.base.version
		page, err := f.ask(ctx, since)
		if err != nil {
			return err
		}
		if f.another(page) {
			f.opt.Logger.Warn("the registry is another one, or went backwards: starting over", "component", "registry",
				"known", f.base.id, "version", since, "now", page.Registry, "head", page.Head)
			f.base = emptySnapshot(page.Registry)
			continue
		}
		if err := f.take(page); err != nil {
			f.base = emptySnapshot(page.Registry) // what was known does not fit the feed
			return err
		}
		if page.Next >= page.Head || page.Next == since {
			return nil
		}
	}
}

// another reports whether what is known here is not a beginning of the feed that answers.
func (f *Follower) another(p *Page) bool {
	return f.base.version > 0 && (p.Registry != f.base.id || p.Head < f.base.version)
}

// take puts a page on top of what is known and shows it. While starting over the old state is shown until the new one
// is complete, so an empty ledger never takes the place of a filled one.
func (f *Follower) take(p *Page) error {
	d := f.base.draft()
	d.id = p.Registry
	last := f.base.version
	for _, c := range p.Changes {
		if c.Number <= last {
			return fmt.Errorf("registry feed: change %d after %d: %w", c.Number, last, ErrCorrupt)
		}
		last = c.Number
		if err := d.apply(c); err != nil {
			return fmt.Errorf("registry feed: %w", err)
		}
	}
	if p.Next != last {
		return fmt.Errorf("registry feed: next is %d after change %d: %w", p.Next, last, ErrCorrupt)
	}
	status := f.Status()
	if status.Head = p.Head; last >= p.Head {
		status.Synced, status.Err = f.opt.Clock(), nil
	}
	f.status.Store(&status) // before the snapshot: who sees the one sees the other
	if len(p.Changes) == 0 {
		return nil
	}
	shown := f.snap.Load()
	inStep := shown == f.base
	f.base = d.finish(last)
	if inStep || last >= p.Head {
		f.snap.Store(f.base)
		close(shown.superseded)
	}
	return nil
}

// ask fetches one page.
func (f *Follower) ask(ctx context.Context, since uint64) (*Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s?since=%d&limit=%d", f.feed, since, MaxPage), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+f.opt.Key)
	res, err := f.opt.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 512)) // only to say more
		return nil, fmt.Errorf("registry feed %s: %s: %s", f.feed, res.Status, strings.TrimSpace(string(text)))
	}
	page := new(Page)
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(page); err != nil {
		return nil, fmt.Errorf("registry feed %s: %w", f.feed, err)
	}
	return page, nil
}

// save writes the snapshot file if there is something new.
// keep saves. A full disk must not stop a gateway, nor make a stop a failure: the next start asks the registry.
func (f *Follower) keep() {
	if err := f.save(); err != nil {
		f.opt.Logger.Error("registry snapshot not written", "component", "registry", "err", err)
	}
}

func (f *Follower) save() error {
	s := f.snap.Load()
	if f.opt.File == "" || s == f.saved || s.version == 0 {
		return nil
	}
	if err := WriteSnapshot(f.opt.File, s); err != nil {
		return err
	}
	f.saved = s
	return nil
}
