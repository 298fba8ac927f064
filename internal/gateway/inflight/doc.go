// Package inflight keeps, for each MQTT session of the embedded front, which QoS 2 packets were received and not yet
// released, so that a PUBLISH that comes again is not a second message [MQTT-4.3.3-2] (MQTT 3.1.1, OASIS 2014; clauses of
// version 5.0 are marked so). It outlives the connection of a persistent session, and a kill -9.
//
//	PUBLISH  --> Receive --> spool, the record tagged (session, packet, number) --fsync--> PUBREC
//	                                          '--> journal: received
//	PUBREL   --> Release --> journal: released --fsync--> PUBCOMP
//
// The tag is durable with the record itself, so there is no moment in which one is known without the other. The journal
// takes over before the record may be freed; what it had not noted at a crash is found by its number when the end of the
// spool is read at the next start. A release is in the journal before PUBCOMP, because from then on the client may use the
// packet id for another message, which must not be taken for a repeat.
//
// A session is a user and a client id: one user's client id is nothing to another. A session that ends with its connection
// (CleanSession; in version 5 an expiry of 0) is in memory only and its records bear no tag.
//
// Bounds: MaxSessions persistent sessions (the one that is gone longest makes room, first among those of the same user),
// MaxPackets unreleased packets over all sessions (then QoS 2 is refused, and the client sends again), Expiry. The journal
// is rewritten when it is four times as long as what it says.
package inflight
