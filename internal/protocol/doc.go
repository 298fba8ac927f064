// Package protocol decides what makes an acknowledged reading count exactly once. It does nothing itself: each type is
// a step function that says what comes next, and is told how that went. Who drives them with real files, sockets and
// tables: internal/batch (Sender), internal/bus/inproc (commits, Trimmable), internal/ingester (Partition), internal/store
// (Part), internal/spool (NextEpoch). Who drives the very same code with a world that crashes, loses and delays: the
// model in this package's tests (model_test.go), which knows every rule and fails without any single one of them.
//
// The rules, in a reading's order:
//
//	gateway    a range is sent again until the bus has it, and nothing after it before        Sender
//	           a spool that was lost goes on under a new epoch                                 NextEpoch
//	           a record is freed when the bus, or every group's commit, has passed it          Sender, Trimmable
//	bus        a commit is durable before it is answered; a newer owner refuses older ones     Commits
//	           a commit without an answer is settled before anything follows it                Partition
//	ingester   a message not above its producer's highest seq has been seen                    sensor.Watermarks
//	           the range of a block is committed before any of it is stored                    Partition
//	           rows go in under the block's name, one INSERT a table partition                 Block, Part
//	           what may be there already is compared by identity first                         Part
//	           the block's record comes after all of it, and before the commit that passes it  Partition
//	           after a crash the committed block is stored again, with the watermarks of then  Plan
//	           what log, commits and store do not agree on stops                               Plan
//
// What no rule here can notice, and people have to know: a log that went backwards and has grown past the position again
// before anybody looked; an old copy of the commits, put back while a block was half stored and none had been since; a
// topic that was deleted while a block of it was half stored. The first owner to look before that stops and says so.
//
// All offsets are half open, [from, to); all seqs of ranges include both ends, as on the bus.
package protocol
