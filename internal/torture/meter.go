package torture

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/situ-city/situ/internal/embedded/engine"
)

// recovery is the time from a kill to the first row, by SELECT, of a message that was made after it; where there are
// several gateways, to the first such row from each. So it holds everything: the start, what is taken up, the group's
// rebalance, the clients' coming back, the commit, the block.
type recovery struct {
	process string
	took    time.Duration
	beset   bool // something else was made to fail meanwhile: what it cost is in it too
}

// meter measures recoveries.
type meter struct {
	socket   string
	gateways int
	ledger   *ledger

	mu      sync.Mutex // guards what follows
	waits   bool
	process string
	at      time.Time
	from    int  // first message after the kill
	beset   bool // by another fault
	faults  int  // that are on now
	list    []recovery
}

func newMeter(w world, l *ledger) *meter {
	return &meter{socket: w.socket(), gateways: len(w.gateways()), ledger: l}
}

// killed begins to wait for a new row; an earlier kill that was not recovered from is forgotten, the later one counts.
func (m *meter) killed(process string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits, m.process, m.at, m.from, m.beset = true, process, time.Now(), m.ledger.nextID(), m.faults > 0
}

// besets says that a fault other than a kill begins, and gives what is to be called when it is over.
func (m *meter) besets() (over func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beset = true
	m.faults++
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.faults--
	}
}

// pending is an error while a kill has not been recovered from.
func (m *meter) pending() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waits {
		return fmt.Errorf("%s was killed %s ago", m.process, time.Since(m.at).Round(time.Millisecond))
	}
	return nil
}

// take gives what was measured since it was last asked.
func (m *meter) take() []recovery {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.list
	m.list = nil
	return list
}

const meterEvery = 40 * time.Millisecond

func (m *meter) run(ctx context.Context) {
	conn, err := engine.Open(m.socket, "")
	if err != nil {
		return // only a malformed address does that; then pending says that nothing comes
	}
	defer conn.Close()
	tick := time.NewTicker(meterEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.look(ctx, conn)
		case <-ctx.Done():
			return
		}
	}
}

func (m *meter) look(ctx context.Context, conn driver.Conn) {
	m.mu.Lock()
	waits, at, from, process := m.waits, m.at, m.from, m.process
	m.mu.Unlock()
	if !waits {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var n uint64
	err := conn.QueryRow(ctx, "SELECT uniqExact(gateway) FROM situ.observations WHERE result_scaled >= ? AND decimals = 0", from).Scan(&n)
	if err != nil && !errors.Is(err, context.Canceled) || int(n) < m.gateways {
		return // the store is away, or has nothing new
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.Equal(at) {
		m.waits = false
		m.list = append(m.list, recovery{process, time.Since(at), m.beset})
	}
}
