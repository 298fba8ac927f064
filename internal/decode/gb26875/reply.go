package gb26875

import "time"

// Reply appends the center's answer to p, sent at the moment at, whose zone is the device's: its confirmation, once what
// was sent is safe, or its denial (command 6), after which the device sends again (6.3). ok is false when p asks for
// none: only what a device sends (command 2, heartbeats too) is confirmed; a broken packet of any command may be denied.
func Reply(dst []byte, p *Packet, at time.Time, confirm bool) (answer []byte, ok bool) {
	command := Deny
	if confirm {
		command = Confirm
	}
	if confirm && p.Command != Send || p.Command == Confirm || p.Command == Deny {
		return dst, false
	}
	answer, err := Append(dst, Packet{
		Serial: p.Serial, Version: p.Version, Time: Label(at), Source: p.Target, Target: p.Source, Command: command,
	})
	return answer, err == nil
}
