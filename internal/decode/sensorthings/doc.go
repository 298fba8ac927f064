// Package sensorthings decodes what OGC SensorThings services send (step 2 of 8): OGC 18-088, SensorThings API Part 1
// 1.1, and 15-078r6, version 1.0: an Observation (also over MQTT), a page of them with value, a Data Array (clause 13, one
// object or an array of them), and Datastream and Thing documents with what is expanded in them.
//
//	{"phenomenonTime":"2026-01-01T00:00:00Z","result":35.2,"Datastream":{"@iot.id":1}}
//
// What an Observation becomes:
//
//   - Key and Property are "Datastreams(id)": by Datastream/@iot.id, else by a link or MQTT topic that names one
//     (v1.1/Datastreams(1)/Observations); or the name of the ObservedProperty where the payload, or a Datastream document
//     before it, tells it. Without any of these, "result".
//   - Serial is the Thing's @iot.id, where it is expanded around it or a Datastream document has told it.
//   - The result is a number (also in quotes), a boolean, words, or an object or array whose members are flattened.
//     That of a MultiDatastream whose ObservedProperties are known is a value of each, in the unit of each.
//   - Time is phenomenonTime, of an interval its end, else resultTime; ResultTime is resultTime.
//   - Unit is the symbol of the Datastream's unitOfMeasurement, in the payload or in a document before it.
//   - Position is the point of an expanded FeatureOfInterest, else of the Thing's Location.
//
// Documents without Observations hold nothing to store; units and names of at most 4096 Datastreams are kept from
// them. A name that is misspelt (phenonmenonTime) is not there: without time, the arrival counts. No
// link is followed.
//
// Strict refuses times without zone unless the settings name one, a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
//
// # In code
//
// The package never looks at a clock or the registry.
package sensorthings
