// Package sl651 decodes frames of SL 651-2014, the data protocol of China's hydrological stations (step 2 of 8), in both
// of its codings: binary (HEX/BCD, 6.5) and characters (ASCII, 6.4). A binary frame written as hexadecimal digits, as
// some gateways pass it on, is taken too.
//
//	7E7E | center 1 | station 5 | password 2 | function 1 | up/down + length 2 | STX | body | ETX/ETB | CRC 2
//	SOH  | 2        | 10        | 4          | 2          | 4                  | STX | body | ETX/ETB | 4      (characters)
//	body: serial number 2, time of sending YYMMDDhhmmss, then groups:
//	  F1F1 station, class | F0F0 time of observation YYMMDDhhmm | element, length and decimals, value | ...
//	SYN instead of STX: packet total and number (12 bits each) stand before the body, which goes on in the next packet.
//
// What a value becomes:
//
//   - Key and Property are the element's name by appendix C ("Z" river level 39H, "PJ" rainfall of the day so far 20H,
//     "PT" rainfall counter 26H, "VT" supply voltage 38H), the same in both codings; an element that the appendix does not know
//     is named by its identifier ("76H", "FF01H"). Values of a gate (GT, GH, QZ) that follow its number GN carry it: "GH-3".
//     Unit is the appendix' unit in UCUM. Statistic is always the instant: the identifier itself names an interval.
//   - Time is the time of observation before the value, else the time of sending, in the source's zone (Asia/Shanghai if it
//     says none). The twelve 5-minute values of DRP and DRZ1 to DRZ8 and the values of an even-interval report (31H, 38H)
//     have times of their own, counted from the time of observation, which is that of the first. ResultTime is the time of
//     sending, when it is not earlier than Time and at most 31 days later.
//   - Serial is the station address of the group, ten hexadecimal digits, else that of the frame. What may speak of several
//     stations belongs on situ/v1/{owner}/-/sl651, where the serial says which Thing it is.
//   - DT (duration, HH.mm) becomes minutes, UC (16 directions) degrees, SW (10,000 t) tonnes. Marks that stand for words
//     leave as words: groundwater H 444 "dry", gate opening GH 444 "closed", 999 "open", 888 "clear of the water",
//     555 "no gate". Station state ZT is its number and, the first of a frame, a 0 or 1 for each bit: "ZT-battery_low"
//     and so on (table 58). Words keyed in by a person (RGZS) and a software version (function 45H) are texts.
//   - Reports of switches (4C pumps, 4D valves, 4E gates) are 1 for running or open and 0: "pump-1", "valve-1", "gate-1", and
//     a gate's opening "GH-1" in m. Counts of events (50) are "ERC1" to "ERC18" (ERC7 mains off, ERC8 battery low, ...).
//   - All F is missing (and all A, which is met in the field): no reading. FF before a number is its minus sign.
//   - Values of a test report (30H) carry SourceCalib, since the standard keeps them apart from the record; what a person
//     keyed in (35H, 39H) Estimated.
//
// Taken are the functions 30 to 35, 37 to 3A, 44 to 46, 4C to 4E and 50. A link report (2F) is a heartbeat. Pictures (36), batches
// of velocities (element DATA), settings, and everything from the center down have no values: no reading, no error,
// Empty tells why. Functions that the standard leaves to the user are refused as unsupported.
//
// Packets (SYN) are put together if one payload holds all of them. Of an incomplete set the readings are refused as
// truncated, except pictures, which would have had none.
//
// Deviations, counted by quality bits unless the source is strict: a length that does not fit passes with LengthWrong if
// the frame's end and CRC do. A CRC (polynomial 8005H, reflected, from FFFFH, high byte first) that does not fit is judged by the
// source's setting: "variants" (the usual) lets the swapped bytes and CRC-16/ARC pass with ChecksumWrong, "strict"
// refuses all, "off" lets all pass with ChecksumWrong. Bytes around frames are noise and skipped. An element that does not
// fit into its frame, or is no number, leaves as a Reading with Err, its neighbours stand. Of several frames in a
// payload the broken ones leave as a Reading with Err; if all are broken, the payload is refused.
//
// # In code
//
// Append and the Append functions of groups encode, Split cuts a stream, Parse shows a frame, an Assembly collects the
// packets that come one by one, for who has a connection, Reply and Refuse make the center's answers. The package keeps
// no connection and never looks at a clock or the registry.
package sl651
