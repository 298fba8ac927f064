// Package sparkplug decodes Eclipse Sparkplug 3.0 payloads of the B format (step 2 of 8): protobuf messages whose kind,
// node and device stand in the topic, and whose metrics are named by aliases that a birth certificate gave out.
//
//	spBv1.0/{group}/NBIRTH|NDATA|NDEATH|NCMD/{edge node}
//	spBv1.0/{group}/DBIRTH|DDATA|DDEATH|DCMD/{edge node}/{device}
//	spBv1.0/STATE/{host}
//
// What a metric of a birth or data message becomes:
//
//   - Key and Property are its name, its own or the one its alias has in the birth. Serial is group/node or
//     group/node/device. bdSeq and the commands "Node Control/..." and "Device Control/..." are no values.
//   - Integers of all sizes travel in unsigned fields and are read by their data type, as two's complement of that size or
//     of 32 bits (both are sent). Float is the shortest decimal that is this float32. Boolean is 1 or 0, String, Text and
//     UUID are words, DateTime is RFC 3339 text, Bytes and File are base64. An element of an array is a value of its own,
//     named "name.0", "name.1" and so on, but booleans are one text ("0110"). DataSet, Template and property sets leave as unusable values (unsupported).
//   - Time is the metric's timestamp, else the payload's, in milliseconds; is_historical changes nothing, since the times
//     say it. is_null is a missing value; is_transient asks not to be stored, and is not.
//   - Unit is the property engUnit of the metric or of its birth. The property Quality flags SourceFault unless it is 192.
//
// The births of a connection are kept (at most 8192 nodes and 32 MiB of names; what was unused longest goes
// first). NBIRTH begins a session and forgets the node's devices. NDEATH ends it if its bdSeq is the birth's, since
// the broker may deliver the will of an older session late. seq counts modulo 256 over all messages of a node; the same
// number again is a redelivery. After a gap, or data before its birth, known aliases go on to be read; a value whose alias
// is not known leaves with Err, as does one whose data type is not the birth's. The gateway then asks the node for its
// birth (NCMD, Node Control/Rebirth), after a gap not before the time for reordering has passed without the missing
// messages (3.0.0, 5.9), and each node at most every 30 seconds. Deaths, STATE and commands hold nothing to store.
//
// A payload on another topic (situ/v1/{owner}/{thing}/sparkplug) is read as well: a bdSeq beside other metrics makes it a
// birth, a bdSeq alone a death; its topic stands for the node, and Serial is empty.
//
// Strict wants what 3.0.0 demands, and refuses what lacks it: a topic of Sparkplug (4.1), timestamp and seq in each payload,
// bdSeq in a node's birth and death (6.4), a data type in each metric of a birth.
//
// # In code
//
// Append encodes, for the simulator and tests. The package does no I/O and never looks at a clock or the registry.
package sparkplug
