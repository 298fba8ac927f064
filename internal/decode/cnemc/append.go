package cnemc

import "strings"

// Append appends a row, its cells in quotes where they need them, and CRLF. The first row names the columns.
func Append(dst []byte, cells ...string) []byte {
	for i, c := range cells {
		if i > 0 {
			dst = append(dst, ',')
		}
		if !strings.ContainsAny(c, "\",\r\n;\t") && c == strings.TrimSpace(c) && (c != "" || len(cells) > 1) {
			dst = append(dst, c...)
			continue
		}
		dst = append(dst, '"')
		dst = append(dst, strings.ReplaceAll(c, `"`, `""`)...)
		dst = append(dst, '"')
	}
	return append(dst, '\r', '\n')
}
