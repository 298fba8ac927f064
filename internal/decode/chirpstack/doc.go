// Package chirpstack decodes the uplink events of ChirpStack v4 (topic application/{id}/device/{devEui}/event/up) and v3
// (.../device/{devEUI}/event/up, JSON and protobuf-JSON marshaler), as their integrations publish them in JSON
// (ChirpStack API, integration.proto v3 and v4; step 2 of 8).
//
// What an uplink becomes:
//
//   - Serial is the device's EUI as 16 hexadecimal digits: v4 deviceInfo.devEui as it is; v3 devEUI, which its
//     protobuf-JSON marshaler writes as base64 of the 8 bytes, in lower case.
//   - Readings are the members of the decoded object (v4 and v3 object; v3 objectJSON, a JSON text in a string), nested
//     ones flattened with dots. Their names are the codec's; they carry no unit, because the payload names none.
//   - Time is when a gateway heard the frame: v4 time, v3 the first rxInfo time. A network answers within seconds, so a
//     time more than 5 minutes away from the network server's own (v4 rxInfo nsTime, v3 publishedAt) is a wrong clock,
//     and the server's time holds.
//   - Position is a latitude and longitude in the decoded object; where there is nothing else in it, position_fix 1 stands
//     for them. A location event gives position_fix, accuracy and altitude in m. rxInfo locations are the gateways', never
//     the device's.
//
// The same uplink sent again (same deduplicationId) has the same time and values, so that history shows it once.
//
// Data that no codec decoded is read by the source's profiles (docs/sources.md), by the device profile's name or
// id; without one that fits it is refused as unsupported, with what would help. An uplink without data (MAC commands only)
// is empty as a heartbeat.
//
// A status event gives margin (dB of signal to noise), batteryLevel in % (not while it is unavailable or the device has
// external power) and externalPowerSource. Other events are empty: join as birth, ack and txack as command, log (error)
// and integration as without values.
//
// Strict refuses gateways' clocks that are wrong, a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
//
// A decoded temperature at an end of a 16-bit number (327.67, -327.68, 3276.7, -3276.8) is what devices send without a
// probe, and is left out.
package chirpstack
