package kafka

import (
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
)

// TestPassing: what Kafka calls retriable is tried again, whatever kafka-go thinks of it, and an end is an end.
func TestPassing(t *testing.T) {
	for code := int16(1); code < 140; code++ {
		e, ok := kerr.ErrorForCode(code).(*kerr.Error)
		switch {
		case !ok, e == kerr.UnknownServerError:
			continue
		case e == kerr.NoReassignmentInProgress, e == kerr.GroupSubscribedToTopic, e == kerr.ShareSessionLimitReached:
			continue // answers to requests that are never made here
		}
		if got := passing(kafkago.Error(code)); got != e.Retriable {
			t.Errorf("%d %s: passing is %v, Kafka says retriable is %v", code, e.Message, got, e.Retriable)
		}
	}
}
