// Package geohazard decodes the JSON of geological hazard monitoring in China (step 2 of 8): cracks, tilt, GNSS
// displacement, acceleration, rain, water content, sound and the state of the devices, as stations of the ministry's
// warning network (guided by people and professionals together) publish it.
//
//	{"SN0001": {"L1_LF_1": {"2026-01-01T00:00:00.000Z": 10.86},
//	            "L1_QJ_1": {"2026-01-01T00:00:00.000Z": {"X": -0.03, "Y": 1.2, "Z": 88.7, "angle": 1.3, "AZI": 12}},
//	            "L1_GP_1": {"2026-01-01T00:00:00.000Z": [3.1, -0.4, 1.0]},
//	            "S1_ZT_1": {"2026-01-01T00:00:00.000Z": {"battery_dump_energy": 88, "lon": 106.5, "lat": 29.5}}}}
//
// A code is the class of what is watched (L1 deformation, L2 physical fields, L3 causes, L4 what is seen, S1 state), its
// kind in letters, and a number: L1_LF_1 is the first crack gauge. Public facts, from the technical requirements of 2023
// for the communication of such data and from what vendors and platforms publish: the codes, the names gpsTotalX, dispsX,
// X, Y, Z, angle, AZI, gX, value, totalValue, the units of cracks, displacements, tilt and rain, and the form above.
// The text of the requirements was not at hand, so these are assumptions (kinds.go names them): the order in arrays
// without names, the units of water content, temperature of the soil and debris flow, and every other form below.
//
// What a value becomes:
//
//   - Key is code and name, "L1_QJ_1.X", of a single value the code. Property is the name, of a single value and of
//     "value" the kind ("LF"), of what lies deeper the name around it: what the catalogue knows under this protocol. Unit is that of kinds.go, if it has one.
//   - Serial is the device: the name around the codes, or a member deviceId, deviceCode, sn or the like. Payloads of several
//     devices belong on situ/v1/{owner}/-/geohazard, where the serial says which Thing it is.
//   - Time is the name around a value, else the nearest member time, timestamp or the like: RFC 3339, the same with a
//     blank and without zone (then in the source's, Asia/Shanghai if it says none), or a count since 1970.
//   - Position is that of a longitude and a latitude beside the values.
//   - Arrays without names are gpsTotalX, gpsTotalY, gpsTotalZ of GP; dispsX, dispsY of SW; X, Y, Z, angle, AZI of QJ; gX, gY,
//     gZ of JS; others count: "L3_HS_1.0". Text that is a number is one; other text is words; objects deeper
//     inside are flattened with '.'; null and "" are missing.
//
// Taken besides: codes without a device around them (the topic says which), values without a time, {"deviceId", "data":
// {codes}}, lists of such objects, and records {"sensorCode": "L1_LF_1", "time", "value"} with a value, an object or an
// array. Members that are none of these (version, message numbers, names of people and places) are no values.
//
// Strict refuses a byte order mark and a name twice in one object (RFC 8259 8.1, RFC 7493 2.3), and times without zone unless
// the settings name one.
//
// A name that begins as a time and is none leaves as a Reading with Err, its neighbours stand. Encrypted bodies
// ({"header", "bodies"}) are refused as unsupported; so is what holds no code at all.
//
// # In code
//
// Append encodes. The package never looks at a clock or the registry.
package geohazard
