// Package hj212 decodes HJ 212-2017 frames (step 2 of 8), the text protocol of China's pollution monitoring. Codes and
// flags of the older HJ/T 212-2005 are taken too; which property a code means is the catalogue's knowledge.
//
//	##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80\r\n
//	  |   |                                                                                                    CRC
//	  |   data: header fields, then CP with fields (DataTime=...) and values (code-param=value,code-Flag=N;...)
//	  bytes of data, 4 digits (6.3.1; 3 digits are seen and taken)
//
// What a value becomes:
//
//   - Key is code-param as sent, Property the code. Rtd is the instant, Avg Min Max the statistics of the interval, Cou
//     the sum, ZsRtd ZsAvg ZsMin ZsMax the same at the reference state, ValidNum and TotalNum counts, Data DayData
//     NightData (noise) averages; the typo "td" is an instant. A param not known stays in Property as a whole. "Info"
//     may hold words; any other value that is no number leaves with Err, an empty one is missing.
//   - Time is DataTime (14 digits, or 17 with milliseconds) in the source's zone, Asia/Shanghai if it says none; a
//     SampleTime of the same code is nearer to when the value held and wins. ResultTime is QN, when QN is not earlier than
//     Time and at most 31 days later: devices are met whose QN stands still for years.
//   - Flag (6.6.4) becomes quality bits: N none; D fault, F stopped, B no communication, P power failure (2005) SourceFault;
//     C and M, and 0 of 2005, SourceCalib; T SourceOver and SourceFault; S Estimated; 1 and 3 of 2005 none, 2 SourceFault.
//     A flag not known is SourceFault: the source doubts, and nobody here knows why. Lower case counts as upper.
//   - Serial is MN.
//
// Commands (CN 1xxx, 3xxx, 2012, 2022), answers (9011 to 9014), boot reports (2081) and heartbeats have no values:
// they are counted as commands, births and heartbeats. Device logs and settings (3020 and its like) are not stored either.
//
// Of HJ 212-2025 (in force since 2026) what is publicly known is taken: its Flag (8 and 9), its further data (2013 raw
// values, 2052, 2062, 2111), conditions of a plant in words (p99101-Rtd=St) and the heartbeat 9015. Values of a
// check against a standard (2062) carry SourceCalib. Encrypted data (SM4) are refused as unsupported.
//
// Deviations, all counted by the quality bits of every value of the frame, unless the source is strict: a length that does
// not fit passes with LengthWrong; a CRC that does not fit is judged by the source's setting: "variants" (the usual) lets pass what is
// one of the wrong ways of counting that are met in the field, with ChecksumWrong; "strict" refuses all, "off" lets all
// pass, with ChecksumWrong. Bytes before and between frames are line noise and skipped; the last frame of a payload may
// lack its line end. Of several glued frames the broken ones leave as a Reading with Err, the others stand;
// if all are broken, the payload is refused with the first one's error.
//
// # In code
//
// Append encodes (for the simulator and tests), Split cuts a stream, Parse shows everything in a frame. Decode takes each
// packet of a report (PNUM, PNO) by itself; an Assembly puts them together before, for who has a connection. Answer makes
// what a center answers, Accept and Done what a device does. The package keeps no connection and never looks at a clock or
// the registry.
package hj212
