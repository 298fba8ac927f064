// Package tasmota decodes what devices with Tasmota firmware publish (topics tele/{device}/SENSOR and STATE,
// stat/{device}/STATUS8, STATUS10 and RESULT; Tasmota documentation, versions 6 to 14; step 2 of 8).
//
// What a payload becomes:
//
//   - Key is the name with its group before it: {"AM2301": {"Temperature": 21.4}} gives "AM2301.Temperature"; the values
//     of a meter with several phases have their index behind ("ENERGY.Voltage.0"). StatusSNS and StatusSTS around the
//     values are no part of it.
//   - Unit is Tasmota's own by the end of the name (units.go). Temperatures, pressures and wind follow TempUnit,
//     PressureUnit and SpeedUnit where the payload has them.
//   - Time is Time, which is local and names no zone unless the device is set so: the source's zone holds, China's where
//     it says none. Devices come with Central European time: set Timezone on the device, or the zone on the source.
//   - Serial is none, since the topic names the device; but behind a Zigbee bridge (ZbReceived) the Zigbee device's
//     address, as 0x5480, or its name.
//   - ON and OFF are words as sent. Identifiers, names, start times and what tells where a Wi-Fi network is (SSId, BSSId)
//     are no values.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3), and, unless the settings name a
// zone, times without one.
//
// The last will's Online and Offline are heartbeats.
package tasmota
