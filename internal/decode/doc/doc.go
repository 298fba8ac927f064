// Package doc is what the JSON protocols share (step 2 of 8): Parse checks a payload once, so that walking it with
// gjson (which is lenient) is safe, and a Walk collects the Readings.
//
// Parse refuses, with the byte it broke at: an empty payload, text outside the encoding (UTF-8, RFC 8259 section 8.1;
// a byte order mark is passed over), what RFC 8259's grammar does not know (NaN and Infinity among it), and nesting
// deeper than MaxDepth. Its check keeps its own small stack, so depth costs nothing; gjson's own is recursive.
//
// What a Walk makes of one JSON value:
//
//   - a number is a value, true and false are 1 and 0, null and "" are missing;
//   - text that is a JSON number throughout ("23.5") is that number, since devices print so; other text is a value in
//     words; "nan" and "inf" are no numbers;
//   - an object is flattened with '.', an array with its index ("air.pm2_5", "cells.0").
//
// A value that cannot be used (1e400, a text beyond MaxText) leaves as a Reading with Err and its neighbours stand.
// Parse gives a gjson.Result. A Walk notes besides where each value is while it checks, so that Members steps through an
// object without reading again what lies deeper in it.
//
// Names and words are interned, so nothing holds on to the payload, and a steady stream allocates one copy of each
// payload and nothing else. A name that comes twice in an object leaves twice; the later one counts where both have
// the same time.
//
// The decoders beside this package are its callers. It never decides what a name means.
package doc
