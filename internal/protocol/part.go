package protocol

import "strconv"

// Block names a range of a log's partition: all that a store sees of [From, To) is under this name.
type Block struct {
	Log       string // hexadecimal id of the log: one made anew has another, so that names never return
	Partition int32
	From, To  int64
}

// Token is the name in deduplication tokens.
func (b Block) Token() string {
	return b.Log + "/" + strconv.Itoa(int(b.Partition)) + "/" + strconv.FormatInt(b.From, 10) + "-" + strconv.FormatInt(b.To, 10)
}

// PartDo is what comes next for a Part.
type PartDo uint8

// What a Part asks for.
const (
	PartInsert PartDo = iota // insert under the token with Suffix; rows that are Missing only, or all
	PartLook                 // look which rows are missing, by identity; then Looked
	PartDone                 // the rows are there, each once
	PartFail                 // the store says OK and rows stay away
)

// PartStep is one of them.
type PartStep struct {
	Do      PartDo
	Suffix  string
	Missing bool
}

// Part brings the rows of one table partition of a block into the store. Each INSERT is whole or not at all.
//
// A part that is not doubtful is inserted, and its token keeps a repeat of the same request from doing anything. That
// is not enough once somebody may have tried before: a store writes a token and its rows in two steps, so a kill
// between them, or a power cut, leaves one without the other. So a doubtful part is compared by identity first, and
// again after the insert, which a token without rows may have swallowed. Then only another token gets them in. All
// tokens are the same for whoever tries, and in the same order, so that two who do it at once do it once.
type Part struct {
	doubtful bool
	looked   bool
	missing  int
	total    int
	tries    int
	inserted bool

	broken rule
}

// NewPart begins.
func NewPart(doubtful bool) Part { return Part{doubtful: doubtful} }

// partTries bounds the tokens of one part that can be there without rows. Each takes a kill of the store in the moment
// between its two steps.
const partTries = 8

// Next says what to do. It may be asked again.
func (p *Part) Next() PartStep {
	switch {
	case !p.doubtful && !p.inserted:
		return PartStep{Do: PartInsert}
	case !p.doubtful:
		return PartStep{Do: PartDone}
	case !p.looked:
		return PartStep{Do: PartLook}
	case p.missing == 0, p.tries == 1 && p.broken.has(emptyTokensArePassed):
		return PartStep{Do: PartDone}
	case p.tries > partTries:
		return PartStep{Do: PartFail}
	}
	s := PartStep{Do: PartInsert, Missing: p.missing < p.total}
	switch {
	case p.tries == 1:
		s.Suffix = "/again"
	case p.tries > 1:
		s.Suffix = "/again" + strconv.Itoa(p.tries)
	case s.Missing: // one INSERT is whole or not at all, but a part may have been lost or taken away since
		s.Suffix = "/rest"
	}
	return s
}

// Looked answers PartLook: so many of the rows are missing.
func (p *Part) Looked(missing, total int) { p.looked, p.missing, p.total = true, missing, total }

// Inserted says that the store answered an insert with OK.
func (p *Part) Inserted() {
	p.inserted, p.looked = true, false
	p.tries++
}

// Late says that more than a Lease has gone by since the part was announced or looked at. Tokens may have been forgotten
// meanwhile, so it begins with the first one again, as everybody does.
func (p *Part) Late() {
	if p.inserted && !p.doubtful || p.broken.has(lateIsDoubtful) {
		return
	}
	*p = Part{doubtful: true, broken: p.broken}
}
