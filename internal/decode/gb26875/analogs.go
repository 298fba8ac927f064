package gb26875

// analog is a row of the table of 8.2.1.3.
type analog struct {
	name  string
	unit  string  // UCUM
	parts float64 // of the unit that the device counts
}

var analogs = [...]analog{
	1:  {"event_count", "1", 1},
	2:  {"height", "m", 100},
	3:  {"temperature", "Cel", 10},
	4:  {"pressure", "MPa", 10},
	5:  {"pressure", "kPa", 10},
	6:  {"gas_concentration", "%{LEL}", 10},
	7:  {"duration", "s", 1},
	8:  {"voltage", "V", 10},
	9:  {"current", "A", 10},
	10: {"flow", "L/s", 10},
	11: {"air_flow", "m3/min", 10},
	12: {"wind_speed", "m/s", 1},
}

// nearer are the values whose meaning the kind of system or component narrows; 0 is any.
var nearer = [...]struct {
	system, component, analog byte
	name                      string
}{
	{0, 16, 9, "residual_current"}, {0, 17, 9, "residual_current"},
	{0, 16, 3, "cable_temperature"}, {0, 18, 3, "cable_temperature"},
	{0, 92, 2, "fire_water_level"},
	{11, 0, 4, "hydrant_pressure"}, {11, 0, 5, "hydrant_pressure"},
	{12, 0, 4, "sprinkler_pressure"}, {12, 0, 5, "sprinkler_pressure"},
	{0, 0, 4, "fire_water_pressure"}, {0, 0, 5, "fire_water_pressure"}, // of what else a fire unit watches
}

// analogOf gives name and row of analog value kind of a component; name "" means that the table does not know it.
func analogOf(system, component, kind byte) (name string, a analog) {
	if int(kind) >= len(analogs) {
		return "", a
	}
	a = analogs[kind]
	for _, n := range nearer {
		if (n.system == 0 || n.system == system) && (n.component == 0 || n.component == component) && n.analog == kind {
			return n.name, a
		}
	}
	return a.name, a
}
