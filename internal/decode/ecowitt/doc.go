// Package ecowitt decodes what weather stations of Ecowitt, and of others made alike (Fine Offset, Froggit, Ambient),
// upload to a customized server: an HTTP form body, application/x-www-form-urlencoded (Ecowitt protocol; the names of
// the Weather Underground protocol are the same; step 2 of 8).
//
// What a body becomes:
//
//   - Key is the field's name. Unit is what the name says (units.go): Fahrenheit, inHg, mph, inches.
//   - Time is dateutc, in UTC; now, or none, is none.
//   - Serial: PASSKEY is a hash of the station's hardware address and opens its account, so it never leaves the package;
//     ecowitt- and the first 12 hexadecimal digits of its SHA-256 stand for it. Two stations are told apart by that, nobody
//     can upload with it. Without a PASSKEY the topic says which Thing.
//   - Empty fields and -9999 are missing. Model, firmware, frequency and passwords are no values.
//
// Strict refuses a body whose dateutc names no time, and a byte order mark.
package ecowitt
