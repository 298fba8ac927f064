// Package meshtastic decodes the JSON that Meshtastic nodes with an uplink publish (firmware 2.x, topic
// msh/{region}/2/json/{channel}/{gateway}; step 2 of 8).
//
// What a message becomes:
//
//   - Serial is the node that measured, from, as its usual name: '!' and eight hexadecimal digits. sender is only the
//     gateway that heard it.
//   - telemetry: the members of its payload, in the firmware's units (units.go). battery_level above 100 means mains and
//     is missing. rssi and snr are the gateway's and no values.
//   - position: latitude_i and longitude_i in 1e-7 degrees are the position; 0 and 0 is a node without a fix. Where they
//     stand alone, position_fix (1, or 0 without a fix) stands for them. altitude (m), ground_speed (km/h), ground_track (sent in 1e-5 degrees), PDOP, HDOP
//     and VDOP (in hundredths), precision_bits and so on are values.
//   - Time is the payload's own time, else timestamp, in seconds; 0 is none.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
//
// Texts, waypoints and other types are empty, nodeinfo as birth; nobody's chat is kept.
package meshtastic
