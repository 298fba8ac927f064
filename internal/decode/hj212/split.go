package hj212

import "bytes"

// Bounds of a frame: its length field has four digits.
const (
	maxData  = 9999
	maxFrame = len("##0000") + maxData + len("0000\r\n")
)

// Split cuts a stream into its frames, each from "##" to its line end, and returns what must wait for more bytes.
// Line noise around frames is dropped. frames and rest alias stream; rest is never longer than a frame may be.
// Whether a frame is any good, Parse and Decode say.
func Split(stream []byte) (frames [][]byte, rest []byte) {
	for from := 0; ; {
		start, end, closed, ok := next(stream, from)
		switch {
		case !ok:
			if n := len(stream); n > from && stream[n-1] == '#' { // perhaps the first half of "##"
				return frames, stream[n-1:]
			}
			return frames, nil
		case !closed:
			return frames, stream[start:end]
		case end-start <= maxFrame:
			frames = append(frames, stream[start:end])
		}
		from = end
	}
}

// next finds the frame that begins at or after from: it ends with its line, where the next frame begins, or where it
// has become longer than a frame may be. closed is false if it ends only because the bytes do.
func next(b []byte, from int) (start, end int, closed, ok bool) {
	i := bytes.Index(b[from:], []byte("##"))
	if i < 0 {
		return 0, 0, false, false
	}
	start = from + i
	for start+2 < len(b) && b[start+2] == '#' { // noise may end with the same sign
		start++
	}
	body := b[start+2:]
	limit := false
	if len(body) > maxFrame {
		body, limit = body[:maxFrame], true
	}
	if i := bytes.Index(body, []byte("##")); i >= 0 {
		body, limit = body[:i], true
	}
	if i := bytes.IndexByte(body, '\n'); i >= 0 {
		body, limit = body[:i+1], true
	} else if i := bytes.IndexByte(body, '\r'); i >= 0 && limit {
		body = body[:i+1]
	}
	return start, start + 2 + len(body), limit, true
}
