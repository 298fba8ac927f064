// Package sensorcommunity decodes what the particle sensors of Sensor.Community (formerly luftdaten.info) send and what
// the network's API gives (airRohr firmware since NRZ-2016, its push and "own API" forms; API v1; hackAIR nodes, which
// the same servers take; step 2 of 8).
//
// What a payload becomes:
//
//   - Key is value_type ("P1", "SDS_P2", "BME280_pressure"). Values stand in quotes; one with its unit behind it
//     ("-59 dBm") is read as both.
//   - Unit is the firmware's by the end of the name: P0 P1 P2 P4 ug/m3, temperature Cel, humidity %, pressure Pa, signal
//     dBm and so on (units.go); other names have none.
//   - Serial is esp8266-{esp8266id} (esp32id, raspiid likewise), as the network names its nodes; in the API's form the
//     number of the sensor. Pushes to luftdaten.info have it in the header X-Sensor, which MQTT has no place for: there,
//     and for the header X-Pin, which tells two sensors of one node apart, the topic must say which Thing.
//   - Time is the API's timestamp, which is UTC; what nodes send has none.
//   - Position is the API's location (which the network rounds), or GPS_lat and GPS_lon.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
//
// A payload or element without sensordatavalues (or hackAIR's reading) is refused as unsupported.
package sensorcommunity
