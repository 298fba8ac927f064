package sensor

import (
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// A gateway's canary is a Thing of its own, whose readings go the whole way so that the way can be watched: each
// carries a number that rises for ever, and the number of the newest reading before it that was acknowledged. Whoever
// sees a reading and not the acknowledged one that it names has found a loss.
const (
	// CanaryOwner owns the canaries, and nothing else.
	CanaryOwner = "situ"
	// CanarySequence is the source key of the number.
	CanarySequence = "sequence"
	// CanaryAcknowledged is the source key of the acknowledged one's number; 0 = none that is known.
	CanaryAcknowledged = "acknowledged"

	canaryPrefix = "canary-"
)

// CanaryThing is the canary of a gateway. A gateway's name that is too long for a Thing's is cut and told apart by its hash.
func CanaryThing(gateway string) ThingID {
	if len(canaryPrefix)+len(gateway) > 64 {
		h := strconv.FormatUint(xxhash.Sum64String(gateway), 16)
		gateway = gateway[:64-len(canaryPrefix)-1-len(h)] + "-" + h
	}
	return ThingID(CanaryOwner + "/" + canaryPrefix + gateway)
}

// IsCanary reports whether t is some gateway's canary: such Things are not counted among a city's.
func (t ThingID) IsCanary() bool { return strings.HasPrefix(string(t), CanaryOwner+"/"+canaryPrefix) }

// CanaryStreams gives the Datastreams of a canary's two numbers.
func CanaryStreams(canary ThingID) (sequence, acknowledged DatastreamID) {
	return NewDatastreamID(canary, "", Instant, CanarySequence), NewDatastreamID(canary, "", Instant, CanaryAcknowledged)
}
