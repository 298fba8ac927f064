package engine

import "bytes"

// joiner turns what the engine answers per block, each formatted as a whole document,
// into one document.
type joiner func(block []byte, first bool) []byte

// joiners has the formats whose documents can be joined. Any other format (JSON,
// Parquet, Pretty, ...) is answered only once the engine has it whole in memory.
func joinerOf(format string) joiner {
	switch format {
	case "Native", "RowBinary", "CSV", "TSV", "TabSeparated", "TSVRaw", "TabSeparatedRaw",
		"JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow", "JSONStringsEachRow", "JSONCompactStringsEachRow":
		return func(block []byte, _ bool) []byte { return block }
	case "TSVWithNames", "TabSeparatedWithNames", "JSONCompactEachRowWithNames":
		return dropLines(1)
	case "TSVWithNamesAndTypes", "TabSeparatedWithNamesAndTypes", "JSONCompactEachRowWithNamesAndTypes":
		return dropLines(2)
	case "CSVWithNames":
		return dropCSVHeader
	case "ArrowStream":
		return joinArrow
	}
	return nil
}

// dropLines keeps the n header lines of the first block only. These formats escape line
// ends inside values.
func dropLines(n int) joiner {
	return func(block []byte, first bool) []byte {
		for i := 0; i < n && !first; i++ {
			block = block[bytes.IndexByte(block, '\n')+1:]
		}
		return block
	}
}

// dropCSVHeader is dropLines for a format whose quoted names may hold line ends.
func dropCSVHeader(block []byte, first bool) []byte {
	quoted := false
	for i, c := range block {
		if first {
			break
		}
		if c == '"' {
			quoted = !quoted
		}
		if c == '\n' && !quoted {
			return block[i+1:]
		}
	}
	return block
}

// hasHeader: an empty answer in this format still has content, which streaming does not
// give.
func hasHeader(format string) bool {
	switch format {
	case "Native", "RowBinary", "CSV", "TSV", "TabSeparated", "TSVRaw", "TabSeparatedRaw",
		"JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow", "JSONStringsEachRow", "JSONCompactStringsEachRow":
		return false
	}
	return true
}

func contentType(format string) string {
	switch format {
	case "JSON", "JSONCompact", "JSONStrings", "JSONColumns":
		return "application/json; charset=UTF-8"
	case "JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow":
		return "application/x-ndjson; charset=UTF-8"
	case "CSV", "CSVWithNames", "CSVWithNamesAndTypes":
		return "text/csv; charset=UTF-8; header=" + map[bool]string{true: "present", false: "absent"}[format != "CSV"]
	case "TSV", "TabSeparated", "TSVWithNames", "TabSeparatedWithNames":
		return "text/tab-separated-values; charset=UTF-8"
	case "Native", "RowBinary", "Parquet", "ArrowStream", "Arrow", "ORC":
		return "application/octet-stream"
	case "XML":
		return "application/xml; charset=UTF-8"
	}
	return "text/plain; charset=UTF-8"
}
