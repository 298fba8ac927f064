package json

import (
	"fmt"
	"strings"

	"github.com/situ-city/situ/internal/decode"
)

// role is what a member's name makes of its value.
type role uint8

const (
	isValue role = iota
	isTime
	isLon
	isLat
)

// roles are the names with a meaning of their own; nested names have a '.' and so never meet them.
func roles(name string) (role, uint8) {
	switch name {
	case "t":
		return isTime, 4
	case "ts":
		return isTime, 3
	case "timestamp":
		return isTime, 2
	case "time":
		return isTime, 1
	case "lon", "lng", "longitude":
		return isLon, 0
	case "lat", "latitude":
		return isLat, 0
	}
	return isValue, 0
}

// key is a flattened name that this connection has sent before.
type key struct {
	name string
	role role
	rank uint8  // of times: the greater one is taken
	bad  error  // why no value may have this name
	seen uint64 // the object that last held it
	at   int    // index of its reading there
	next *key   // the name that followed it last time
}

// maxKeys bounds the names kept from one payload to the next; a connection sends the same few for ever.
const maxKeys = 1024

// keys finds names without allocating. A source repeats the order of its names, so the name that followed last
// time is tried before the map.
type keys struct {
	m      map[string]*key
	head   key  // before the first name of an object
	last   *key // the name found last, never nil after begin
	object uint64
}

// begin starts an object.
func (k *keys) begin() {
	k.object++
	k.last = &k.head
}

func (k *keys) find(name []byte) *key {
	if guess := k.last.next; guess != nil && guess.name == string(name) {
		k.last = guess
		return guess
	}
	e := k.m[string(name)]
	if e == nil {
		e = newKey(name)
		if e.name != string(name) { // cut short: it must not be found under its stump
			return e
		}
		k.m[e.name] = e
	}
	k.last.next = e
	k.last = e
	return e
}

// trim forgets all names when there are too many, and any link to them.
func (k *keys) trim() {
	if k.m == nil || len(k.m) > maxKeys {
		k.m = make(map[string]*key, 16)
		k.head.next = nil
	}
	k.last = &k.head
}

func newKey(name []byte) *key {
	if len(name) > MaxKey {
		cut := strings.ToValidUTF8(string(name[:MaxKey]), "")
		return &key{name: cut, bad: fmt.Errorf("name of %d bytes, at most %d: %w", len(name), MaxKey, decode.ErrBound)}
	}
	k := &key{name: string(name)}
	k.role, k.rank = roles(k.name)
	if k.name == "" || strings.ContainsFunc(k.name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		k.bad = fmt.Errorf("a name that is empty or holds control characters: %w", decode.ErrMalformed)
	}
	return k
}
