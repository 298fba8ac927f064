package sparkplug

import (
	"strings"
)

// kind is what a message is for.
type kind uint8

const (
	undecided kind = iota // the topic does not say
	birth
	data
	death
	command
	state
)

// address is what a topic says. Its texts are parts of the topic.
type address struct {
	kind                kind
	group, node, device string
	named               bool // by a Sparkplug topic
}

const namespace = "spBv1.0/"

// parse reads a topic; a bridge may have put something before the namespace.
func parse(topic string) address {
	a := address{node: topic}
	at := strings.Index(topic, namespace)
	if at < 0 || at > 0 && topic[at-1] != '/' {
		return a
	}
	group, rest, ok := strings.Cut(topic[at+len(namespace):], "/")
	if group == "STATE" {
		return address{kind: state, named: true}
	}
	word, rest, ok2 := strings.Cut(rest, "/")
	node, device, more := strings.Cut(rest, "/")
	if !ok || !ok2 || group == "" || node == "" || len(word) < 4 || (word[0] == 'D') != (more && device != "") {
		return a
	}
	switch word {
	case "NBIRTH", "DBIRTH":
		a.kind = birth
	case "NDATA", "DDATA":
		a.kind = data
	case "NDEATH", "DDEATH":
		a.kind = death
	case "NCMD", "DCMD":
		a.kind = command
	default:
		return a
	}
	a.group, a.node, a.device, a.named = group, node, device, true
	return a
}

// serial names the Thing.
func (a *address) serial() string {
	switch {
	case !a.named:
		return ""
	case a.device != "":
		return a.group + "/" + a.node + "/" + a.device
	}
	return a.group + "/" + a.node
}
