package torture

import (
	"bufio"
	"fmt"
	"os"
	"sync"
)

// kind is what a message is.
type kind uint8

const (
	kindLive       kind = iota // two values of now
	kindBackfill               // two values of three days ago
	kindMixed                  // both: two records, one acknowledgement
	kindMonths                 // values of three months: a block of several INSERTs
	kindLarge                  // forty readings in one PUBLISH
	kindLetter                 // cannot be read
	kindHeartbeat              // holds nothing
	kindSocial                 // a large one, of an owner whose messages a full spool may give up
	kindGovernment             // a large one that it may not
)

func (k kind) String() string {
	return [...]string{"live", "backfill", "mixed", "months", "large", "letter", "heartbeat", "social", "government"}[k]
}

// entry is what is known of one message, from the sender's side alone.
type entry struct {
	kind    kind
	acked   bool
	once    bool   // QoS 2: it must not be there twice, however often it was published
	relayed bool   // through a broker that may deliver it more than once
	values  uint16 // that it holds
	sent    uint16 // how often it was published
}

// ledger is the sent list: a message's id is on disk before its first PUBLISH, and its acknowledgement is noted when
// PUBACK has come. The file is for people and for the day after; the same is in memory for the judge.
//
//	S id kind topic    is about to be published (a line each time)
//	A id               was acknowledged
//	L id               went with a log that was taken away, and the balance misses as many, or from a full spool, with
//	                   gap records of as many
type ledger struct {
	mu      sync.Mutex // guards what follows
	f       *os.File
	w       *bufio.Writer
	entries []entry // of message id at id-1
}

func openLedger(path string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("the sent list: %w; give a directory of its own with --dir", err)
	}
	return &ledger{f: f, w: bufio.NewWriter(f)}, nil
}

// add gives a new message its id.
func (l *ledger) add(e entry) (id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	return len(l.entries)
}

// sending notes durably that these are about to be published, once more.
func (l *ledger) sending(list []*message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range list {
		e := &l.entries[m.id-1]
		e.sent++
		fmt.Fprintf(l.w, "S %d %s %s\n", m.id, e.kind, m.topic)
	}
	if err := l.w.Flush(); err != nil {
		return err
	}
	return l.f.Sync()
}

// acked notes a PUBACK. It need not be durable: who forgets one only asks for less.
func (l *ledger) acked(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[id-1].acked = true
	fmt.Fprintf(l.w, "A %d\n", id)
}

// nextID is what the next message will be called.
func (l *ledger) nextID() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries) + 1
}

// since gives a copy of all entries from an id on.
func (l *ledger) since(id int) []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]entry(nil), l.entries[id-1:]...)
}

// forgive asks no longer for what was declared to be gone.
func (l *ledger) forgive(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[id-1].acked = false
	fmt.Fprintf(l.w, "L %d\n", id)
}

// counts are messages, publications and acknowledged messages, and of these those with QoS 2.
func (l *ledger) counts() (messages, sent, acked, once int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		sent += int(e.sent)
		if e.acked {
			acked++
			if e.once {
				once++
			}
		}
	}
	return len(l.entries), sent, acked, once
}

func (l *ledger) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.w.Flush(); err != nil {
		return err
	}
	return l.f.Close()
}
