package sensor

import "strings"

// Quality is a set of flags; zero is a result nobody has doubted. docs/quality.md explains each.
type Quality uint16

// The flags. A flagged result is stored and shown as doubtful, never dropped.
const (
	OutOfRange    Quality = 1 << iota // outside the property's or the Datastream's plausible range
	RateOfChange                      // jumped further than the property can
	Stuck                             // unchanged for longer than is natural
	ClockSkew                         // phenomenonTime differs from arrivalTime by more than the clock rule allows
	UnitAssumed                       // the source gave no unit and none is declared: the canonical unit was taken
	Late                              // older than two days at arrival
	SourceFault                       // the source itself flagged the result (HJ 212 D, F, T, ...)
	SourceCalib                       // the source was in calibration or maintenance (HJ 212 C, M)
	SourceOver                        // the source reports over or under its measuring range (HJ 212 T)
	ChecksumWrong                     // the frame's checksum did not fit and the source's setting let it pass
	LengthWrong                       // the frame's length field did not fit
	Moving                            // position in the payload, more than 50 m from the registered one
	NoTime                            // the source gave no time: arrivalTime stands for phenomenonTime
	Estimated                         // manual or substituted value (HJ 212 S, or a replay)
	UnitSuspect                       // out of range, but a thousandth or a thousandfold is inside: ug for mg, mV for V
)

var qualityNames = [...]string{"out_of_range", "rate_of_change", "stuck", "clock_skew", "unit_assumed", "late",
	"source_fault", "source_calibration", "source_over_range", "checksum_wrong", "length_wrong", "moving", "no_time", "estimated", "unit_suspect"}

// String lists the flags by name, joined by '|'; "good" when there are none.
func (q Quality) String() string {
	if q == 0 {
		return "good"
	}
	var names []string
	for i, n := range qualityNames {
		if q&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, "|")
}
