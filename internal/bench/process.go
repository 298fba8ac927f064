package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process and its children have used (Linux, /proc).
type Usage struct {
	CPU     time.Duration
	PeakRSS int64 // bytes, summed over the processes
	RSS     int64
}

const clockTick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on

// UsageOf adds up pid and its direct and indirect children.
func UsageOf(pid int) (Usage, error) {
	var u Usage
	pids, err := family(pid)
	if err != nil {
		return u, err
	}
	for _, p := range pids {
		cpu, err := cpuOf(p)
		if err != nil {
			continue // it has ended between the listing and now
		}
		u.CPU += cpu
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
		u.PeakRSS += kilobytes(string(status), "VmHWM:")
		u.RSS += kilobytes(string(status), "VmRSS:")
	}
	return u, nil
}

func family(root int) ([]int, error) {
	parents := map[int]int{}
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(entries) == 0 {
		return nil, fmt.Errorf("no /proc: the usage of processes can be measured on Linux only")
	}
	for _, e := range entries {
		f := fields(e)
		if len(f) > 1 {
			pid, _ := strconv.Atoi(strings.Split(e, "/")[2])
			parents[pid], _ = strconv.Atoi(f[1])
		}
	}
	list := []int{root}
	for i := 0; i < len(list); i++ {
		for pid, parent := range parents {
			if parent == list[i] {
				list = append(list, pid)
			}
		}
	}
	return list, nil
}

// cpuOf is user and system time, of the process and of its children that have ended.
func cpuOf(pid int) (time.Duration, error) {
	f := fields(fmt.Sprintf("/proc/%d/stat", pid))
	if len(f) < 15 {
		return 0, os.ErrNotExist
	}
	var ticks int64
	for _, i := range []int{11, 12, 13, 14} { // utime, stime, cutime, cstime of proc(5), counted from state
		n, _ := strconv.ParseInt(f[i], 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// fields of /proc/pid/stat behind the command's name, which may hold blanks.
func fields(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.Fields(rest)
}

// peakOf is the most memory a process has had at once since forgetPeak, in bytes; 0 if that is not known.
func peakOf(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	return kilobytes(string(status), "VmHWM:")
}

// forgetPeak makes peakOf begin anew, where the system allows it; else it goes on.
func forgetPeak(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

func kilobytes(status, key string) int64 {
	_, rest, ok := strings.Cut(status, key)
	if !ok {
		return 0
	}
	n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return n << 10
}
