package engine

import (
	"fmt"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// supervisorMetrics are counted in the parent; the store process exposes none.
type supervisorMetrics struct {
	starts, deaths prometheus.Counter
}

func (m *supervisorMetrics) register(r prometheus.Registerer, s *Supervisor) error {
	m.starts = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "situ_store_starts_total", Help: "Times the store process was started."})
	m.deaths = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "situ_store_deaths_total", Help: "Times the store process ended without being asked to."})
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{
		m.starts, m.deaths,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "situ_store_up", Help: "1 while the store process answers."}, func() float64 {
			if s.Pid() == 0 {
				return 0
			}
			return 1
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "situ_store_resident_bytes", Help: "Resident memory of the store process, its share of the library's pages included."},
			func() float64 { return residentBytes(s.Pid()) }),
	} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register store metrics: %w", err)
		}
	}
	return nil
}

// residentBytes is 0 where there is no /proc or no such process.
func residentBytes(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(strings.TrimSpace(string(b)), &size, &resident); err != nil {
		return 0
	}
	return float64(resident) * float64(os.Getpagesize())
}
