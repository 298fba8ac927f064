// Package ttn decodes uplinks of The Things Stack v3, as its MQTT server (topic v3/{application}@{tenant}/devices/{device}/up)
// and its webhooks send them (The Things Stack, data formats of the application server, API v3; step 2 of 8).
//
// What an uplink becomes:
//
//   - Serial is end_device_ids.dev_eui as written, or device_id where a device has none.
//   - Readings are the members of uplink_message.decoded_payload, nested ones flattened with dots ("air.temperature").
//     Where there is none, normalized_payload (units by The Things Stack's schema of measurements) takes its place.
//     The decoder's own names are kept; decoded values carry no unit, because the payload names none.
//   - Time is when a gateway heard the frame: settings.time, else the first rx_metadata time. A network must answer
//     within seconds, so a gateway's clock more than 5 minutes away from the network server's received_at is wrong,
//     and received_at holds; the same where no gateway has a clock.
//   - Position is uplink_message.locations (GPS in the frame before geolocation before what the user entered in the
//     console), or a latitude and longitude in the decoded payload itself or in a member of it (gps_1). Gateways' positions are never the device's.
//     Where an uplink gives a position of its own and nothing else, position_fix 1 stands for it; a location_solved event
//     gives it too, with accuracy and altitude in m.
//   - simulated uplinks carry the quality bit estimated.
//
// Bytes that no payload formatter decoded are read by the source's profiles (docs/sources.md), where profile is
// version_ids' brand/model; without one that fits they are refused as unsupported, with what would help. An uplink without bytes (MAC commands only) is empty as a heartbeat. Joins are empty as birth, downlink events and their
// acknowledgements as command, other events without values. An uplink_normalized event repeats its uplink and is taken
// by itself only where it holds normalized_payload. The storage integration's wrapping in result is taken.
//
// Strict refuses a payload without dev_eui, gateways' clocks that are wrong, a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
//
// A decoded temperature at an end of a 16-bit number (327.67, -327.68, 3276.7, -3276.8) is what devices send without a
// probe, and is left out.
package ttn
