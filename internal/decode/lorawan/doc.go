// Package lorawan reads the raw bytes of LoRaWAN uplinks that no codec of the network server has decoded (step 2 of 8), by
// what the source's configuration says about device profiles. internal/decode/ttn and internal/decode/chirpstack call it.
//
//	profiles:
//	  - {f_port: 2, application: trackers, decoder: cayenne}
//	  - {profile: dragino/lht65, plugin: {file: decoders/lht65.wasm}}
//	  - profile: level meter
//	    fields:
//	      - {property: water_level, offset: 0, type: u16be, scale: 0.001, unit: m}
//	      - {property: battery_voltage, offset: 2, type: u8, scale: 0.1, unit: V, none: 255}
//
// The first profile that fits is taken. profile is the device profile's name or id (ChirpStack), or brand/model (The Things
// Stack); application its name or id; f_port a port. What a profile leaves out fits all.
//
//   - cayenne: Cayenne Low Power Payload, as myDevices published it, and the types that its libraries have added since
//     (cayenne.go). A value's Key is the type's name and the channel, temperature_1, as The Things Stack writes them; its unit
//     is the type's. A GPS type is the position of all values of its frame, and its altitude a value.
//   - plugin: a WebAssembly decoder (docs/plugins.md). It gets the bytes as payload, and lorawan/{f_port} as topic.
//   - fields: a layout of bytes. Each field is a number of 1 to 8 bytes (u8 i8 u16 i16 u24 i24 u32 i32 u64 i64 f32 f64, each
//     beyond one byte with be or le) at an offset, from the end if that is negative; & mask, >> the zeros below the mask; the
//     number none is no value; * scale + add. Fields called lon and lat are the position.
//
// Bytes that break off, a type that Cayenne does not have, a position outside the world refuse the whole frame, since
// what comes after could be anything; a field that the frame is too short for is missing with the usual optional tail
// (optional: true), else it refuses the frame. Nothing here is code but a plug-in, and everything is bounded: a layout has
// at most MaxFields fields, a source at most MaxProfiles profiles.
package lorawan
