// Package thingsboard decodes telemetry as devices and gateways publish it to ThingsBoard (MQTT device API, topic
// v1/devices/me/telemetry, and MQTT gateway API, topic v1/gateway/telemetry; HTTP bodies are the same; step 2 of 8).
//
//	{"temperature": 18.4}                                                   values without a time
//	{"ts": 1767240000000, "values": {"temperature": 18.4}}                  with a time
//	[{"ts": 1767240000000, "values": {...}}, {"temperature": 18.4}]         several of both
//	{"Device A": [{"ts": 1767240000000, "values": {...}}], "Device B": [...]}  a gateway's
//
// What they become:
//
//   - Key is the telemetry key, nested objects and arrays flattened with dots ("air.pm2_5", "cells.0").
//   - Time is ts, in milliseconds since 1970. A ts that would be a day of 1970 in milliseconds, but is one of 2001 to
//     2286 in seconds, is read as seconds. An object without both ts and values has no time, and a ts in it is a value,
//     as ThingsBoard itself reads it.
//   - Serial is the device's name in a gateway's message, else none: the topic says which Thing. A message is a gateway's
//     when all its members are arrays of objects.
//   - Position is a latitude and longitude among the values.
//   - Unit is none: ThingsBoard has no place for it.
//
// An element that is no object, or whose ts cannot be read, leaves as a Reading with Err; its neighbours stand.
// Strict reads every ts as milliseconds, and refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3).
package thingsboard
