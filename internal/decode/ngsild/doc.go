// Package ngsild decodes NGSI-LD entities (step 2 of 8): ETSI GS CIM 009 V1.8.1, clauses 4.5 and 5.2, in the normalized,
// concise and simplified (keyValues) forms, and the NGSI v2 forms that look alike. A payload is one entity, an array of
// them, or a notification with data.
//
//	{"id":"urn:ngsi-ld:AirQualityObserved:a1","type":"AirQualityObserved",
//	 "no2":{"type":"Property","value":69,"unitCode":"GQ","observedAt":"2026-01-01T00:00:00Z"},
//	 "location":{"type":"GeoProperty","value":{"type":"Point","coordinates":[106.55,29.56]}}}
//
// What an entity becomes:
//
//   - Each Property is a value: Key and Property are its name; of several instances, those with a datasetId (clause 4.5.5)
//     have it behind a '.'. Numbers, booleans (1 and 0) and words are taken, {"@value": ...} is what it holds, other objects
//     are flattened. Relationships, languages, addresses, names and other descriptions are no values.
//   - Serial is refDevice if there is one (an entity ...Observed is one observation, not a device), else the id, up to a
//     date that ends it, since such ids are made anew each time.
//   - Unit is unitCode, UN/CEFACT Recommendation 20, in UCUM; a code that is not in the table passes as it is.
//   - Time is the attribute's observedAt, else the entity's dateObserved (dateObservedTo, observationDateTime, TimeInstant,
//     timestamp, dateObservedFrom), also where it was mistaken for a Relationship. Of an interval the end counts. A
//     time without zone is in the source's zone; strict refuses it unless the settings name one.
//   - Position is location, a GeoJSON Point: longitude first. A place outside the world makes the entity unusable and says
//     so if the two numbers look swapped; where both orders are places, normalize notices by the registered one.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3) as well.
//
// # In code
//
// The package keeps no entities and never looks at a clock or the registry.
package ngsild
