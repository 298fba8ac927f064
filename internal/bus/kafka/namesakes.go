package kafka

import (
	"log/slog"
	"sync"

	"github.com/situ-city/situ/pkg/sensor"
)

// namesakes notices two spools that give their messages the same identities: two gateways that somebody started at the
// same second under one name. Whichever is read second passes for a repeat. Nobody can mend that here, for a message
// has no other name; but it must not happen in silence.
type namesakes struct {
	log *slog.Logger

	mu   sync.Mutex // guards what follows
	told map[sensor.Producer]bool
	of   map[sensor.Producer]string // the spool that was read first, by the header `log`
}

// see notes where a message of p comes from.
func (n *namesakes) see(p sensor.Producer, spool string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of, n.told = map[sensor.Producer]string{}, map[sensor.Producer]bool{}
	}
	first, known := n.of[p]
	switch {
	case !known:
		n.of[p] = spool
	case first != spool && !n.told[p]:
		n.told[p] = true
		n.log.Error("two spools have one gateway name and one epoch: what the second one sends passes for repeats, and is NOT stored. "+
			"Stop one of the gateways, and start it again with a --gateway name of its own and an empty data directory",
			"gateway", p.Gateway, "epoch", p.Epoch, "lane", p.Lane.String(), "spool", first, "other", spool)
	}
}
