package registry

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Row is one line of a register, still as text: what it means is found out by RegisterRows.
type Row struct {
	Line  int      // in the file, the header being line 1; what a spreadsheet shows unless a cell spans lines
	Notes []string // what the owner should know of how the file was read
	Err   *FieldError
	cells [columns]string
}

// Cell gives the text under a column, without blanks around it; "" when the file has no such column.
func (r *Row) Cell(c Column) string { return r.cells[c] }

// ParseCSV reads a register: comma-separated values (RFC 4180) with a first line that names the columns in English
// or Chinese (see Column). UTF-8 with or without a byte order mark; GB18030 and UTF-16 are recognised and decoded,
// and ';' or a tab between the cells as well. Line ends are LF or CRLF. A row that breaks the quoting rules comes back
// with its Err set and the rows after it are read. The error wraps ErrCSV when the file as a whole is unusable.
func ParseCSV(r io.Reader) ([]Row, error) {
	text, note, err := readText(r)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fmt.Errorf("the file is empty: %w", ErrCSV)
	}
	records := csv.NewReader(bytes.NewReader(text))
	records.Comma = delimiter(text)
	records.FieldsPerRecord = -1 // counted by parseRow, for a better text
	records.ReuseRecord = true
	names, err := records.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w: %w", err, ErrCSV)
	}
	width := len(names)
	h, err := parseHeader(names)
	if err != nil {
		return nil, err
	}
	rows, err := parseRows(records, h, width)
	if err != nil || len(rows) == 0 {
		return rows, err
	}
	if note != "" {
		rows[0].Notes = append(rows[0].Notes, note)
	}
	for _, name := range h.unknown {
		rows[0].Notes = append(rows[0].Notes, fmt.Sprintf("column %q is not one of situ's and was left out", name))
	}
	return rows, nil
}

// delimiter is the one of ',', ';' and tab that the first line has most of.
func delimiter(text []byte) rune {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	best := byte(',')
	for _, d := range []byte{'\t', ';'} {
		if bytes.Count(line, []byte{d}) > bytes.Count(line, []byte{best}) {
			best = d
		}
	}
	return rune(best)
}

func parseRows(records *csv.Reader, h *header, width int) ([]Row, error) {
	var rows []Row
	for {
		cells, err := records.Read()
		var broken *csv.ParseError
		switch {
		case err == io.EOF:
			return rows, nil
		case errors.As(err, &broken):
			text := "quotes do not match; a cell with a quote in it is written \"like \"\"this\"\"\""
			rows = append(rows, Row{Line: broken.StartLine, Err: &FieldError{"row", text}})
			continue
		case err != nil:
			return nil, fmt.Errorf("read register: %w", err)
		}
		line, _ := records.FieldPos(0)
		if row, some := parseRow(cells, h, width); some {
			row.Line = line
			rows = append(rows, row)
		}
	}
}

// parseRow sorts the cells into columns. A row without any text is nothing at all.
func parseRow(cells []string, h *header, width int) (row Row, some bool) {
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		some = some || cell != ""
		if i >= width && cell != "" {
			row.Err = &FieldError{"row", fmt.Sprintf("%d cells under %d columns (a comma inside a cell needs quotes around the cell)", len(cells), width)}
		}
	}
	for c, i := range h.at {
		if i < 0 || i >= len(cells) {
			continue
		}
		cell := strings.TrimSpace(cells[i])
		if (!utf8.ValidString(cell) || strings.ContainsRune(cell, utf8.RuneError)) && row.Err == nil {
			row.Err = &FieldError{Column(c).String(), fmt.Sprintf("%q is not readable text; save the file as UTF-8", cell)}
		}
		row.cells[c] = strings.Clone(cell) // the record's memory is the reader's
	}
	return row, some
}
