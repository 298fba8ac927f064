package engine

import (
	"fmt"
	"io"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// helloQuery is what clickhouse-go asks first on every HTTP connection. It reads the
// answer at the protocol revision it asked for, and everything after at the revision the
// answer names.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// hello answers helloQuery. libchdb writes Native blocks at revision 0 whatever a client
// asks for (no block info, no custom-serialization flag), so the answer names revision 0:
// one small block is made here and all others pass through untouched. Re-encoding every
// block with lib/proto.Block instead would decode and encode each value once more.
type hello struct {
	name, version, timezone string
}

const revisionOfBlocks = 0

// askHello learns what the engine is.
func askHello(c *conn) (hello, error) {
	h := hello{name: "situ store"}
	var text []byte
	err := c.query("SELECT version(), timezone()", "TabSeparated", nil, func(b []byte) (int, error) {
		text = append(text, b...)
		return len(b), nil
	})
	if err != nil {
		return h, fmt.Errorf("ask the engine for its version: %w", err)
	}
	if _, err := fmt.Sscan(string(text), &h.version, &h.timezone); err != nil {
		return h, fmt.Errorf("read the engine's version from %q: %w", text, err)
	}
	return h, nil
}

func (h hello) write(w io.Writer, revision uint64) error {
	block := proto.NewBlock()
	for _, c := range []struct {
		name string
		kind column.Type
	}{{"displayName()", "String"}, {"version()", "String"}, {"revision()", "UInt32"}, {"timezone()", "String"}} {
		if err := block.AddColumn(c.name, c.kind); err != nil {
			return err
		}
	}
	if err := block.Append(h.name, h.version, uint32(revisionOfBlocks), h.timezone); err != nil {
		return err
	}
	var buf chproto.Buffer
	if err := block.Encode(&buf, revision); err != nil {
		return err
	}
	_, err := w.Write(buf.Buf)
	return err
}
