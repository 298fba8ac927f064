package gateway

import (
	"errors"
	"fmt"
	"strings"

	"github.com/situ-city/situ/internal/spool"
	"github.com/situ-city/situ/pkg/sensor"
)

// The order of pressure, when what is downstream of a spool takes nothing: the spool grows; from seven eighths of its
// bound on, policy removes what matters least; when nothing may be removed and the bound is reached, nothing is taken,
// hence not acknowledged, and the senders keep it.

// policy is what a lane's spool does when it fills.
func (g *Gateway) policy(lane sensor.Lane) spool.Policy {
	return spool.Policy{
		Classes: g.cfg.Horizons, Hold: g.cfg.Hold[lane],
		Describe: func(body []byte) sensor.GapShare {
			arrival, thing, owner := sensor.PeekMessage(body)
			return sensor.GapShare{Thing: thing, Owner: owner, Hour: arrival - arrival%hour}
		},
		OnRemoved: func(r spool.Removed) {
			g.metrics.removed.WithLabelValues(lane.String(), r.Class.String(), r.Reason).Add(float64(r.Messages))
		},
	}
}

const hour = 3_600_000 // ms

// Full says which spools take nothing because there is no room, and what is in them; "" = there is room.
func (g *Gateway) Full() string {
	var all []string
	for _, lane := range []sensor.Lane{sensor.Live, sensor.Backfill} {
		s := g.spools[lane]
		err := s.NoRoom()
		if !errors.Is(err, spool.ErrFull) {
			continue
		}
		used, limit := s.Used()
		text := fmt.Sprintf("nothing is acknowledged in lane %s: %v; %d of %d MiB in use", lane, err, used>>20, limit>>20)
		for class, h := range s.Held() {
			if h.Messages > 0 {
				text += fmt.Sprintf(", %d MiB of class %s", h.Bytes>>20, sensor.OwnerClass(class))
			}
		}
		all = append(all, text+". Senders keep their messages until what is stored makes room, or --spool-bytes is raised")
	}
	return strings.Join(all, "; ")
}
