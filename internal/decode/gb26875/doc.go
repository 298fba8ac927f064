// Package gb26875 decodes packets of GB/T 26875.3-2011, by which fire units (the transmission devices of buildings) tell a
// monitoring center of fire alarms, faults and measured values (step 2 of 8). A packet written as hexadecimal digits, as
// some gateways pass it on, is taken too.
//
//	40 40 | serial 2 | version 2 | time 6 | source 6 | target 6 | length 2 | command | data unit | sum | 23 23
//	data unit: type, number of objects, objects: type of system, address, ..., time of the object 6
//	numbers low byte first; times second, minute, hour, day, month, year, one binary byte each (8.2.2)
//
// What a value becomes:
//
//   - Serial is the source address, 12 hexadecimal digits from the highest byte: 79 03 00 00 00 00 is 000000000379.
//   - Key is the Property; then, of a system, "-" with its type and address ("fault-1.3"), of a component also "-" with
//     its type, zone and place ("smoke_alarm-1.3-40.10.2"): the two halves of its address. The device itself has no more.
//   - State bits (types 1, 2, 21) are numbers, 1 or 0, named by the bit: fault, shielded, supervised, started, feedback,
//     delayed, main_power_fault and so on (states.go). The bit for fire is named by what has found it: smoke_alarm,
//     heat_alarm, flame_alarm, gas_alarm, manual_alarm, else fire_alarm; "started" is fire_pump_state of a pump,
//     fire_door_open of a fire door. A payload never becomes more readings than it has bytes: of a packet with
//     more than seven systems the later ones tell only bits 1 to 10.
//   - The bit "normal" (0 says: being tested) is told as it is and never doubts the other bits: devices in the field
//     send real alarms without it.
//   - Analog values (type 3) are in the unit of the table of 8.2.1.3 (analogs.go): temperature, voltage, flow and so on. A
//     pressure is hydrant_pressure or sprinkler_pressure by its system, else fire_water_pressure; of an electric monitor
//     the current is residual_current, the temperature cable_temperature; the height in a water tank fire_water_level.
//   - Operations (types 4, 24) are a 1 for each bit that is set, "op_reset" and so on, and the number of the "operator".
//   - Descriptions of components and configurations (types 2, 6, 7, 26) are texts, in GB 18030 unless the source says
//     otherwise: "description-1.3-40.10.2", "configuration-1.3". Versions (5, 25) are texts: "software_version" "1.2".
//     Clocks (8, 28) are texts: "clock" "2026-01-01T08:00:00+08:00".
//   - Time is the object's, in the source's zone (Asia/Shanghai if it says none); without one the packet's. ResultTime is
//     the packet's, when it is not earlier than Time and at most 31 days later. An object's time that no calendar
//     shows gives way to the packet's, with ClockSkew, since an alarm must not be lost by a clock; a strict source's
//     object leaves with Err.
//
// Sending without a data unit is a heartbeat; commands of the center, questions (data types from 61 on), confirmations and
// denials have no values. Commands and data types that the standard leaves to the user are refused as unsupported.
//
// Deviations, counted by quality bits unless the source is strict: a length that does not fit passes with LengthWrong if
// the packet's end and sum do. A sum that does not fit is refused, unless the source's CRC setting is "off": then it
// passes with ChecksumWrong ("variants" is the same as "strict": no wrong way of adding is known). Bytes around packets are
// noise and skipped. An object cut short leaves as a Reading with Err, those before it stand. Of several packets in a
// payload the broken ones leave as a Reading with Err; if all are broken, the payload is refused.
//
// # In code
//
// Append and the Append functions of objects encode, Split cuts a stream, Parse shows a packet, Reply makes the center's
// confirmation or denial. The package keeps no connection and never looks at a clock or the registry.
package gb26875
