package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// flood is more than the spools hold while the way on from them is shut: social's messages must make room for the
// government's, with gap records, through kills, and when only the government's are left nothing may be acknowledged.
type flood struct {
	kill bool // the gateway's process, while it removes
	full bool // go on with the government's until nothing is acknowledged any more
}

const flooding = "flood" // as --faults names it

func (f *flood) String() string {
	what := "the spools overflow while nothing takes from them"
	if f.kill {
		what += ", and gateways are killed meanwhile"
	}
	if f.full {
		what += ", until nothing is acknowledged"
	}
	return what
}

// Owners whose messages flood. Each has as many Things as there are senders.
const (
	socialOwner     = "folk"
	governmentOwner = "bureau"
)

// enrol registers the Things that flood, so that the gateways know their classes before.
func (t *torturer) enrol(ctx context.Context) error {
	if !slices.Contains(t.cfg.Faults, flooding) {
		return nil
	}
	list := "id,class,grade,lon,lat,crs,properties\n"
	for i := range t.cfg.Senders {
		for owner, class := range map[string]string{socialOwner: "social", governmentOwner: "government"} {
			list += fmt.Sprintf("%s/s%d,%s,open,106.5,29.5,WGS84,water_level\n", owner, i, class)
		}
	}
	answer, err := ask(ctx, http.MethodPost, t.world.api()+"/v1/register", list)
	if err == nil && strings.Contains(answer, `"error"`) {
		err = errors.New(answer)
	}
	if err != nil {
		return fmt.Errorf("register who floods: %w", err)
	}
	return nil
}

// ask makes a request with the administrator's key.
func ask(ctx context.Context, method, url, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err == nil && res.StatusCode >= 300 && res.StatusCode != http.StatusServiceUnavailable { // the latter is /readyz's answer
		err = fmt.Errorf("%s: %s", res.Status, b)
	}
	return string(b), err
}

// flood lets it happen, when all else of the round has been judged, and judges what it left.
func (t *torturer) flood(ctx context.Context, f *flood) error {
	from := t.ledger.nextID()
	t.log.Info("fault", "kind", flooding, "what", f.String())
	t.report.fault(flooding)
	defer t.meter.besets()()
	open, err := t.world.shut(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	came := t.overflow(ctx, f)
	t.pour(nothing)
	if err := open(); err != nil || !came {
		return errors.Join(err, ctx.Err())
	}
	if !t.come(ctx, "after "+f.String()+", not all processes are up again", t.world.healed) ||
		!t.come(ctx, "after "+f.String()+", not everything is acknowledged", t.unacknowledged) {
		return ctx.Err()
	}
	if err := t.judge.thinned(ctx, from); err != nil {
		return err
	}
	t.send(ctx, resetFor/4) // what a kill is recovered from; not before: there must be room for it
	if !t.come(ctx, "no new row after a kill", func(context.Context) error { return t.meter.pending() }) ||
		!t.come(ctx, "not everything is acknowledged although nothing is broken", t.unacknowledged) {
		return ctx.Err()
	}
	for _, r := range t.meter.take() {
		t.report.recovered(r)
	}
	t.report.check(flooding + ": a full spool gave up social's messages alone, as many as its gap records say")
	return t.judge.round(ctx, from, true, false)
}

// overflow pours until the spools have given up something, and as the flood wants it further. False: it never came to that.
func (t *torturer) overflow(ctx context.Context, f *flood) bool {
	t.pour(everybodys)
	if !t.come(ctx, "the spools overflow, and nothing is removed", t.thinning(ctx)) {
		return false
	}
	if f.kill {
		for _, v := range t.world.victims() {
			if v.name == "situ" || strings.HasPrefix(v.name, "gateway") {
				t.die(ctx, v)
			}
		}
		thinning := t.thinning(ctx)
		if !t.come(ctx, "killed while it removed, a gateway does not go on with it", func(ctx context.Context) error {
			if t.refusing(ctx) == nil { // all that is left of social's is in the newest segment
				return nil
			}
			return thinning(ctx)
		}) {
			return false
		}
	}
	if !f.full {
		return true
	}
	t.pour(governments)
	return t.come(ctx, "the spools are full of the government's, and all is acknowledged", t.refusing)
}

// refusing is an error until no gateway acknowledges anything, and says so.
func (t *torturer) refusing(ctx context.Context) error {
	for _, addr := range t.world.gateways() {
		b, err := ask(ctx, http.MethodGet, addr+"/readyz", "")
		if err == nil && !strings.Contains(b, "nothing is acknowledged") {
			err = fmt.Errorf("/readyz of %s: %s", addr, b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// thinning gives what is an error until every gateway has removed something, more than it has now.
func (t *torturer) thinning(ctx context.Context) func(context.Context) error {
	before, _ := t.removed(ctx) // one that does not answer begins a new life
	return func(ctx context.Context) error {
		now, err := t.removed(ctx)
		if err != nil {
			return err
		}
		for addr, n := range now {
			if n == "" || n == before[addr] {
				return fmt.Errorf("the gateway at %s has removed nothing", addr)
			}
		}
		return nil
	}
}

// removed tells how many of social's messages each gateway has removed in this life; "" = none.
func (t *torturer) removed(ctx context.Context) (map[string]string, error) {
	list := map[string]string{}
	for _, addr := range t.world.gateways() {
		b, err := ask(ctx, http.MethodGet, addr+"/metrics", "")
		if err != nil {
			return list, err
		}
		list[addr] = ""
		for line := range strings.Lines(b) {
			if n, ok := strings.CutPrefix(line, `situ_spool_removed_messages_total{class="social"`); ok {
				list[addr] += n // of each lane and reason
			}
		}
	}
	return list, nil
}

// What is poured.
const (
	nothing     = iota
	everybodys  // three of social's, then one of the government's
	governments // nobody else's
)

// pour lets those senders that reach a gateway by themselves flood it. A broker between would drop what it cannot hold.
func (t *torturer) pour(what int32) {
	for _, s := range t.senders {
		if s.broker.relayed {
			continue
		}
		if what == nothing {
			s.rest() // first: what it sends otherwise is social's too, as long as nobody has registered it
		}
		s.pours.Store(what)
		s.quiet.Store(what == nothing)
	}
}

// thinned judges a flood's messages: what is gone of the acknowledged is social's, and the gap records say how much. A
// message that was sent again may have been in a spool twice, and been removed once or twice.
func (j *judge) thinned(ctx context.Context, from int) error {
	return j.with(ctx, func(conn driver.Conn) error {
		entries := j.ledger.since(from)
		got, gone, err := j.gone(ctx, conn, entries, from)
		if err != nil {
			return fmt.Errorf("what a full spool gave up: %w", err)
		}
		gone = slices.DeleteFunc(gone, func(id int) bool { return entries[id-from].kind != kindSocial })
		var removed, others uint64
		if err := conn.QueryRow(ctx, "SELECT toUInt64(sumIf(messages, owner_class = 'social')), toUInt64(sumIf(messages, owner_class != 'social')) FROM situ.removed").Scan(&removed, &others); err != nil {
			return err
		}
		least, most := uint64(len(gone)), copiesGone(entries, from, got)
		if n := removed - j.removed; n < least || n > most || n == 0 {
			j.report.fail("%d acknowledged messages of social's are gone, %d copies at most, and gap records say %d", least, most, n)
		}
		if others > 0 {
			j.report.fail("gap records say that %d messages were removed that are not social's", others)
		}
		j.log.Info("a full spool gave up", "acknowledged", least, "copies", most, "gaps", removed-j.removed)
		j.removed = removed
		for _, id := range gone {
			j.ledger.forgive(id)
		}
		return nil
	})
}

// copiesGone counts how often social's messages were sent and are not there.
func copiesGone(entries []entry, from int, got map[int]*found) (n uint64) {
	for i, e := range entries {
		if e.kind != kindSocial {
			continue
		}
		n += uint64(e.sent)
		if f := got[from+i]; f != nil {
			n -= min(n, f.rows)
		}
	}
	return n
}
