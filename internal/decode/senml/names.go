package senml

import "bytes"

// split divides a resolved name into what names the device and what names the value on it (RFC 8428 section 4.5.1 asks
// only that the whole be unique):
//
//	urn:dev:ow:10e2073a01080063:voltage   device URN (RFC 9039): type and identifier, then ':', '/' or '_'
//	urn:uuid:2e1b...:voltage              other URNs: namespace and the string up to the last separator
//	2001:db8::2/temperature               else the last '/', or if there is none the last ':'
//	/3303/0/5700                          a path from a root (LwM2M) names no device
//	temperature                           nor does a bare word
func split(name []byte) (device, value []byte) {
	if len(name) == 0 || name[0] == '/' {
		return nil, bytes.TrimPrefix(name, []byte("/"))
	}
	if rest, ok := cutURN(name, "urn:dev:"); ok {
		return divide(name, ending(name, rest))
	}
	first := 0
	if rest, ok := cutURN(name, "urn:"); ok {
		first = rest
		if bytes.IndexAny(name[first:], ":/") < 0 {
			return name, nil // the identifier alone
		}
	}
	at := bytes.LastIndexByte(name[first:], '/')
	if at < 0 {
		at = bytes.LastIndexByte(name[first:], ':')
	}
	if at < 0 {
		return nil, name
	}
	return divide(name, first+at)
}

// cutURN reports where, behind prefix and the part that follows it, a URN's identifier begins.
func cutURN(name []byte, prefix string) (at int, ok bool) {
	if len(name) < len(prefix) || !bytes.EqualFold(name[:len(prefix)], []byte(prefix)) {
		return 0, false
	}
	n := bytes.IndexByte(name[len(prefix):], ':')
	return len(prefix) + n + 1, n >= 0
}

// ending finds the end of a device identifier that begins at from.
func ending(name []byte, from int) int {
	n := bytes.IndexAny(name[from:], ":/_")
	if n < 0 {
		return len(name)
	}
	return from + n
}

// divide cuts at a separator, which belongs to neither side.
func divide(name []byte, at int) (device, value []byte) {
	if at >= len(name) {
		return name, nil
	}
	return name[:at], name[at+1:]
}
