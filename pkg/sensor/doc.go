// Package sensor holds situ's nouns: Thing, Datastream, ObservedProperty, Observation, Message, DeadLetter, Batch.
//
// Names follow OGC SensorThings 1.1. Times are Unix milliseconds in UTC, positions WGS 84, results in the
// observed property's canonical UCUM unit. The package also holds the one encoding of a Message
// (docs/formats/spool.md); it does no I/O and knows no other package of situ but pkg/geo and schema
// (whose property catalogue it parses).
package sensor
