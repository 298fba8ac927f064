// Package senml decodes Sensor Measurement Lists (step 2 of 8): RFC 8428, in its JSON form (protocol senml,
// application/senml+json) and its CBOR form (protocol senml-cbor, application/senml+cbor), with the units of RFC 8428
// and RFC 8798. XML and EXI are not taken.
//
//	[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1767225600,"n":"voltage","u":"V","v":120.1},
//	 {"n":"current","t":-5,"u":"A","v":1.2}]
//
// What a record becomes, once base fields are applied (section 4.6):
//
//   - The name is divided: a device URN (urn:dev:ow:..., RFC 9039) up to its identifier, or everything up to the last '/',
//     or if there is none up to the last ':', is the Serial; what follows is Key and Property. A name that begins with '/'
//     (LwM2M's /3303/0/5700) or has no separator names no device. A name that is a device alone, one measurement each, has
//     its unit's symbol as Key ("Cel", "%RH"), or "value" without unit.
//   - v is a number (bv is added), vb is 1 or 0, vs are words, vd stays base64url text, as the JSON form has it (in CBOR the
//     bytes are written so). An empty text is missing. s, with bs, is a second reading with the statistic sum, in the unit
//     times seconds. bv or bs in force stand for a v or s that is not there.
//   - Time is bt + t in Unix seconds. Below 2^28 it counts from now (section 4.5.3): Time is then 0 and FromArrival says how
//     many milliseconds before (or after) the arrival at the gateway it held; normalize adds the arrival and flags NoTime.
//   - Unit is the registry's symbol in UCUM. A symbol that is not in the registry passes as it is.
//   - Two records with the units lon and lat are the position of all records of the same device and time. If there are
//     none, both leave as values. One of them alone, or a place outside the world, makes these records unusable.
//   - ut is not used.
//
// A record that cannot be used (two values, no value, a wrong type, NaN) leaves as a Reading with Err; a base field that
// cannot be read refuses the pack, because all that follows hangs on it, and so do a version that is not known (1 to 10,
// and 26 with RFC 9100's feature of secondary units, are) and a field that ends with '_' (section 4.4).
//
// Tolerant (the usual): a record without its array is taken, numbers in quotes are numbers, times from 1e11 on count
// milliseconds, C and F are degrees and not coulombs and farads, dB is a sound level. Strict refuses the first two, takes
// the units at their word, and refuses names outside the letters of section 4.5.1.
//
// CBOR is walked by hand over RFC 8949 with a stack of fixed size: labels may be numbers (table 4) or words; integers,
// floats of all three sizes and decimal fractions are numbers; strings must have a definite length.
//
// # In code
//
// AppendJSON and AppendCBOR encode, for the simulator and for tests. The package never looks at a clock or the registry.
package senml
