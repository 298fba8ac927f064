package protocol

import "fmt"

// position is what is committed: offsets and intents in their one allowed order.
type position struct {
	log      string
	schema   uint32
	first    bool
	strange  int64 // blocks that begin before it are doubtful: somebody may have stored of them, and nothing says what
	offset   int64 // everything before is stored
	underway int64 // end of the block whose intent is committed; 0 = none
	open     bool  // offset has moved since it was last committed
}

// begin gives the commit that announces a block from the present offset to `to`.
func (p *position) begin(to int64, registry uint64) (Position, error) {
	if p.underway != 0 || to <= p.offset {
		return Position{}, fmt.Errorf("begin block %d..%d while %d..%d is under way", p.offset, to, p.offset, p.underway)
	}
	i := Intent{Version: intentVersion, Log: p.log, From: p.offset, To: to, First: p.first, Strange: p.strange, Schema: p.schema, Registry: registry}
	if p.offset >= p.strange {
		i.Strange = 0
	}
	p.underway, p.open = to, false
	return Position{Offset: p.offset, Meta: i.Encode()}, nil
}

// resume takes up a block whose intent is committed already.
func (p *position) resume(to int64) { p.underway, p.open = to, false }

// stored says that the block under way is in the store, with its record.
func (p *position) stored() {
	p.offset, p.underway, p.first, p.open = p.underway, 0, false, true
}

// rest gives the commit that only moves the offset; false if it is where it was, or must not lose what is strange.
func (p *position) rest() (Position, bool) {
	if !p.open || p.underway != 0 || p.offset < p.strange {
		return Position{}, false
	}
	p.open = false
	return Position{Offset: p.offset}, true
}
