package cnemc

import (
	"bytes"
	"errors"
)

// Bounds of a row.
const (
	maxCells = 128
	maxName  = 64 // bytes of a column's name or a station's code
)

var (
	errQuote = errors.New("a quote is not closed")
	errCells = errors.New("too many cells")
)

// rows walks the rows of a CSV text (RFC 4180).
type rows struct {
	b       []byte
	i       int
	comma   byte
	at      int      // where the last row began
	cells   [][]byte // of the last row; they alias b or quoted
	offsets []int    // where each began
	quoted  []byte   // cells that stood in quotes and held quotes
}

// next reads the next row that is not blank; ok is false behind the last one.
func (r *rows) next() (ok bool, err error) {
	for r.i < len(r.b) && (r.b[r.i] == '\r' || r.b[r.i] == '\n') {
		r.i++
	}
	r.at, r.cells, r.offsets, r.quoted = r.i, r.cells[:0], r.offsets[:0], r.quoted[:0]
	if r.i == len(r.b) {
		return false, nil
	}
	for {
		if len(r.cells) == maxCells {
			r.line()
			return true, errCells
		}
		r.offsets = append(r.offsets, r.i)
		cell, err := r.cell()
		if err != nil {
			r.i = len(r.b)
			return true, err
		}
		r.cells = append(r.cells, cell)
		if r.i == len(r.b) || r.b[r.i] != r.comma {
			r.line()
			return true, nil
		}
		r.i++
	}
}

// line goes behind the end of the line.
func (r *rows) line() {
	if n := bytes.IndexByte(r.b[r.i:], '\n'); n >= 0 {
		r.i += n + 1
		return
	}
	if n := bytes.IndexByte(r.b[r.i:], '\r'); n >= 0 {
		r.i += n + 1
		return
	}
	r.i = len(r.b)
}

// cell reads one cell and stands behind it, at a comma or the end of the line.
func (r *rows) cell() ([]byte, error) {
	begin := r.i
	if r.i < len(r.b) && r.b[r.i] == '"' {
		return r.inQuotes()
	}
	for r.i < len(r.b) && r.b[r.i] != r.comma && r.b[r.i] != '\n' && r.b[r.i] != '\r' {
		r.i++
	}
	return bytes.TrimSpace(r.b[begin:r.i]), nil
}

// inQuotes reads a cell that begins with a quote; what stands between its closing quote and the comma is dropped if blank,
// else taken as part of it, as spreadsheets do.
func (r *rows) inQuotes() ([]byte, error) {
	r.i++
	begin, from := r.i, len(r.quoted)
	plain := true
	for ; ; r.i++ {
		n := bytes.IndexByte(r.b[r.i:], '"')
		if n < 0 {
			return nil, errQuote
		}
		r.i += n
		if r.i+1 < len(r.b) && r.b[r.i+1] == '"' {
			r.quoted = append(r.quoted, r.b[begin:r.i+1]...)
			plain = false
			r.i++
			begin = r.i + 1
			continue
		}
		break
	}
	cell := r.b[begin:r.i]
	r.i++
	if tail := r.i; tail < len(r.b) {
		for r.i < len(r.b) && r.b[r.i] != r.comma && r.b[r.i] != '\n' && r.b[r.i] != '\r' {
			r.i++
		}
		if rest := bytes.TrimSpace(r.b[tail:r.i]); len(rest) > 0 {
			r.quoted = append(append(r.quoted, cell...), rest...)
			return r.quoted[from:], nil
		}
	}
	if plain {
		return cell, nil
	}
	r.quoted = append(r.quoted, cell...)
	return r.quoted[from:], nil
}
