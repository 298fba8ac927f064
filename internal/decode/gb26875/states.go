package gb26875

// Names that depend on what has told them; see family.
const (
	bitFire    = 1
	bitStarted = 5
)

// systemBits is 8.2.1.1: state of a system, from the lowest bit.
var systemBits = [...]string{
	"normal", "fire_alarm", "fault", "shielded", "supervised", "started", "feedback", "delayed",
	"main_power_fault", "backup_power_fault", "bus_fault", "manual", "configuration_changed", "reset",
}

// mostBits of a system are told however many systems a packet holds: those from 1 on.
const mostBits = 10

// fullSystems of a packet are told with all their bits; see the package doc.
const fullSystems = 7

// componentBits is 8.2.1.2: state of a component.
var componentBits = [...]string{
	"normal", "fire_alarm", "fault", "shielded", "supervised", "started", "feedback", "delayed", "power_fault",
}

// deviceBits is 8.2.1.8: state of the transmission device itself.
var deviceBits = [...]string{
	"normal", "fire_alarm", "fault", "main_power_fault", "backup_power_fault", "link_fault", "line_fault",
}

// systemOps is 8.2.1.4, deviceOps 8.2.1.9: operations.
var (
	systemOps = [...]string{"op_reset", "op_silence", "op_manual_alarm", "op_alarm_cleared", "op_self_test", "op_confirm", "op_test"}
	deviceOps = [...]string{"op_reset", "op_silence", "op_manual_alarm", "op_alarm_cleared", "op_self_test", "op_duty_answer", "op_test"}
)

// family is what components of neighbouring types have in common (table of 8.2.1.2).
type family struct {
	from, to byte
	fire     string // name of the bit for fire
	started  string // name of the bit for started or opened
}

var families = [...]family{
	{10, 13, "gas_alarm", ""}, // combustible gas detectors
	{23, 24, "manual_alarm", ""},
	{30, 37, "heat_alarm", ""},
	{40, 44, "smoke_alarm", ""},
	{61, 62, "flame_alarm", ""}, // ultraviolet, infrared
	{69, 69, "flame_alarm", ""},
	{74, 74, "gas_alarm", ""},
	{91, 91, "", "fire_pump_state"},
	{95, 95, "", "fire_pump_state"}, // sprinkler pump
	{102, 102, "", "fire_door_open"},
}

// stateName names bit i of a component of type t.
func stateName(t byte, i int) string {
	name := componentBits[i]
	if i != bitFire && i != bitStarted {
		return name
	}
	for _, f := range families {
		switch {
		case t < f.from || t > f.to:
		case i == bitFire && f.fire != "":
			return f.fire
		case i == bitStarted && f.started != "":
			return f.started
		}
	}
	return name
}
