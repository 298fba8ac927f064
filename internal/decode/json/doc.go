// Package json decodes situ's plain JSON payload (step 2 of 8): an object of named values, or an array of such
// objects, each the report of one Thing at one time (RFC 8259; names as in DESIGN section 9).
//
//	{"t": 1767225600000, "lon": 106.55, "lat": 29.56, "pm2_5": 35.2, "room": {"temp": 21.5}, "door": true}
//
// What a member of an object becomes:
//
//   - t is the phenomenonTime (also ts, timestamp, time, in this order of preference; the others are then ignored).
//     A number below 1e11 counts seconds since 1970, below 1e14 milliseconds, below 1e17 microseconds: each of
//     these ranges holds the years 1973 to 5138 in its unit, so no time since 2000 can be mistaken. 0 and anything
//     beyond are no time. Text is RFC 3339 with its zone (a blank for T and +0800 for +08:00 are taken); without
//     zone it is refused, unless the source's settings name one. Digits in text are read as the number.
//   - lon and lat (also lng, longitude, latitude) are the position in degrees of the source's datum. One without
//     the other, or a place outside the world, refuses the object: nobody could say where its values hold.
//   - A number is a value, true and false are 1 and 0, text that is a JSON number throughout ("23.5") is that
//     number, other text is a value in words. null and "" are missing values. "nan" and "inf" are not numbers.
//   - An object is flattened with '.' ("room.temp"), at most MaxDepth levels deep; arrays inside an object are
//     ignored, they are no form of a value. Which names mean a property is judged by normalize, not here.
//   - A value named twice in one object is refused, because nobody could say which one holds (RFC 7493 2.3).
//
// A value that cannot be used (1e400, too long, too deep, named twice) leaves as a Reading with Err; its neighbours
// stand. So does an object of an array whose time or position cannot be used. Broken JSON refuses the whole
// payload with the byte it broke at, and so do more values than decode.MaxReadings.
//
// Strict refuses a byte order mark and numbers in quotes (RFC 8259 8.1, 7).
//
// # In code
//
// The package scans the bytes itself: validating with gjson and then walking with it costs about 2.5 times
// as much for the usual payload of two values (227 against 590 ns, alternating; bench_test.go measures both).
// The gateway is its caller. It never looks at a clock, a registry or a unit.
package json
