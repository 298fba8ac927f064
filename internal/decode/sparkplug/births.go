package sparkplug

import (
	"strings"

	"github.com/situ-city/situ/pkg/sensor"
)

// Bounds on what a Decoder keeps of births.
const (
	MaxNodes = 8192
	MaxBytes = 32 << 20 // counted for names and tables
	perEntry = 160      // counted for a node, a device or an alias, beside its name

	// AskEvery is how often a node is asked for its birth at most, in milliseconds.
	AskEvery = 30_000
	// ReorderTimeout is how long a missing message may take before its node is asked, in milliseconds (3.0.0, section 5.9).
	ReorderTimeout = 2_000

	maxUnheard = 7 // a node that does not answer is asked about hourly in the end
)

type nodeKey struct{ group, node string }

// node is the session of one edge node.
type node struct {
	key      nodeKey
	own      table // of the node itself
	devices  map[string]*table
	born     bool
	bdSeq    uint64
	hasBdSeq bool
	seq      uint8
	counting bool      // seq is known
	want     bool      // a birth is awaited
	gaps     [4]uint64 // a bit for each seq that has not come
	gapSince int64     // when Ask first saw one missing; 0 = none is
	asked    int64
	unheard  uint8 // requests since the last birth, at most maxUnheard
	used     uint64
	bytes    int
}

// table is what the birth of a node or device said.
type table struct {
	serial  string
	born    bool
	aliases map[uint64]known
	names   map[string]known // metrics without alias that have a unit or need their type
}

// known is what a birth said of a metric.
type known struct {
	name string
	unit string
	typ  DataType
}

// births are all sessions of a connection.
type births struct {
	nodes map[nodeKey]*node
	bytes int
	clock uint64 // counts messages
}

// node finds the node of an address, or makes it.
func (s *births) node(a *address) *node {
	s.clock++
	n, ok := s.nodes[nodeKey{a.group, a.node}]
	if !ok {
		for len(s.nodes) >= MaxNodes {
			s.forgetOldest(nil)
		}
		n = &node{key: nodeKey{strings.Clone(a.group), strings.Clone(a.node)}}
		n.own.serial = (&address{group: a.group, node: a.node, named: a.named}).serial()
		if s.nodes == nil {
			s.nodes = map[nodeKey]*node{}
		}
		s.nodes[n.key] = n
		s.grow(n, perEntry+2*len(a.group)+2*len(a.node))
	}
	n.used = s.clock
	return n
}

// table finds the table of the address within its node, or makes it.
func (s *births) table(n *node, a *address) *table {
	if a.device == "" {
		return &n.own
	}
	t, ok := n.devices[a.device]
	if !ok {
		t = &table{serial: a.serial()}
		if n.devices == nil {
			n.devices = map[string]*table{}
		}
		n.devices[strings.Clone(a.device)] = t
		s.grow(n, perEntry+2*len(a.device)+len(t.serial))
	}
	return t
}

// grow counts what a node keeps and makes room for it among the others.
func (s *births) grow(n *node, bytes int) {
	n.bytes += bytes
	s.bytes += bytes
	for s.bytes > MaxBytes && len(s.nodes) > 1 {
		s.forgetOldest(n)
	}
}

func (s *births) forgetOldest(but *node) {
	var oldest *node
	for _, n := range s.nodes {
		if n != but && (oldest == nil || n.used < oldest.used) {
			oldest = n
		}
	}
	if oldest != nil {
		s.bytes -= oldest.bytes
		delete(s.nodes, oldest.key)
	}
}

// reset forgets everything that births of the node said.
func (s *births) reset(n *node) {
	s.bytes -= n.bytes
	*n = node{key: n.key, own: table{serial: n.own.serial}, asked: n.asked, used: n.used}
	s.grow(n, perEntry+2*len(n.key.group)+2*len(n.key.node))
}

// full: one node alone has used up all there is.
func (s *births) full() bool { return s.bytes > MaxBytes }

// learn keeps a metric of a birth.
func (s *births) learn(n *node, t *table, m *metric, name, unit string) {
	k := known{name: name, unit: unit, typ: m.typ}
	if m.hasAlias {
		if t.aliases == nil {
			t.aliases = map[uint64]known{}
		}
		if _, again := t.aliases[m.alias]; !again {
			s.grow(n, perEntry+len(name)+len(unit))
		}
		t.aliases[m.alias] = k
		return
	}
	if t.names == nil {
		t.names = map[string]known{}
	}
	if _, again := t.names[name]; !again {
		s.grow(n, perEntry+len(name)+len(unit))
	}
	t.names[name] = k
}

// follows judges the sequence number of a message that is not an NBIRTH. One that comes late fills its gap.
func (n *node) follows(s *summary) {
	if !s.hasSeq || s.seq > 255 {
		return
	}
	seq := uint8(s.seq)
	if n.counting && n.gaps[seq>>6]&(1<<(seq&63)) != 0 && n.seq-seq < 128 {
		n.gaps[seq>>6] &^= 1 << (seq & 63)
		return
	}
	if n.counting && seq != n.seq {
		for missing := n.seq + 1; missing != seq; missing++ {
			n.gaps[missing>>6] |= 1 << (missing & 63)
		}
	}
	n.seq, n.counting = seq, true
}

var emptyOf = map[kind]sensor.Reason{death: sensor.ReasonHeartbeat, state: sensor.ReasonHeartbeat, command: sensor.ReasonCommand,
	birth: sensor.ReasonBirth, data: sensor.ReasonNoValues}
