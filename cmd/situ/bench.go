package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/situ-city/situ/internal/bench"
)

type benchCmd struct {
	Journey benchJourneyCmd `cmd:"" default:"withargs" help:"From PUBLISH to SELECT and to the map: CPU, memory, latency."`
	Day     benchDayCmd     `cmd:"" help:"Bytes an observation, on the last day of the simulated city."`
	Burst   benchBurstCmd   `cmd:"" help:"Memory of both processes at ten times the usual rate, with bad clients and a store that sleeps."`
	Load    benchLoadCmd    `cmd:"" hidden:"" help:"The load generator of bench journey, a process of its own."`
	Abuse   benchAbuseCmd   `cmd:"" hidden:"" help:"The bad clients of bench burst, a process of their own."`
}

type benchJourneyCmd struct {
	Messages    int           `help:"Messages of two values in the throughput run." default:"1000000"`
	Things      int           `help:"Things they are spread over." default:"10000"`
	Connections int           `help:"MQTT connections." default:"8"`
	Latency     time.Duration `help:"Length of the latency run at half rate; 0 = none." default:"20s"`
	Idle        time.Duration `help:"How long to wait before reading the idle memory." default:"5s"`
	Data        string        `help:"Data directory; default: one of its own, removed afterwards." type:"path"`
	Profile     string        `help:"Write a CPU profile of the parent process here."`
}

func (benchJourneyCmd) Help() string {
	return `Starts situ run on ports of its own, registers Things, publishes from another process, and waits until SELECT shows
all. CPU is that of situ run and its ClickHouse child; the load generator is not counted.

Example:
  situ bench journey --messages 200000 --latency 10s`
}

func (c benchJourneyCmd) Run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	j := bench.Journey{Self: self, Data: c.Data, Messages: c.Messages, Things: c.Things, Connections: c.Connections,
		Latency: c.Latency, Idle: c.Idle, Profile: c.Profile, Out: os.Stdout, Progress: os.Stderr}
	return j.Run(ctx)
}

type benchDayCmd struct {
	Things   int           `help:"Things of the city." default:"2000"`
	Interval time.Duration `help:"Shortest interval between two messages of a Thing." default:"60s"`
	Seed     uint64        `help:"Seed of the city." default:"2026"`
	Data     string        `help:"Data directory; default: one of its own, removed afterwards." type:"path"`
}

func (benchDayCmd) Help() string {
	return `Example:
  situ bench day --things 2000 --interval 60s`
}

func (c benchDayCmd) Run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	d := bench.Day{Journey: bench.Journey{Self: self, Data: c.Data, Things: c.Things, Out: os.Stdout, Progress: os.Stderr},
		Seed: c.Seed, Interval: c.Interval}
	return d.Run(ctx)
}

type benchBurstCmd struct {
	Rate           float64       `help:"Messages of two values a second of a usual day; the burst has ten times as many." default:"3000"`
	Phase          time.Duration `help:"Length of each of six phases." default:"20s"`
	Things         int           `help:"Things they are spread over." default:"10000"`
	Connections    int           `help:"MQTT connections of those." default:"200"`
	MaxConnections int           `help:"Of situ run. As many silent clients more than that try to connect." default:"1000"`
	Deaf           int           `help:"Clients that do not read their PUBACKs." default:"20"`
	Large          int           `help:"Clients that send 2 MiB but the last byte of it." default:"200"`
	MemoryLimit    int64         `help:"Of situ run." default:"536870912"`
	EngineMemory   int64         `help:"Of situ run." default:"1073741824"`
	SpoolBytes     int64         `help:"Of situ run." default:"2147483648"`
	Data           string        `help:"Data directory; default: one of its own, removed afterwards." type:"path"`
}

func (benchBurstCmd) Help() string {
	return `Prints the most memory that either process had in each phase. Exit code 1: it was more than the settings say
(docs/operations/bounds.md), or something acknowledged is not in SELECT once. Linux only.

Example:
  situ bench burst --rate 2000 --phase 10s`
}

func (c benchBurstCmd) Run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b := bench.Burst{Journey: bench.Journey{Self: self, Data: c.Data, Things: c.Things, Connections: c.Connections, Out: os.Stdout, Progress: os.Stderr},
		Rate: c.Rate, Phase: c.Phase, MemoryLimit: c.MemoryLimit, EngineMemory: c.EngineMemory, SpoolBytes: c.SpoolBytes,
		MaxConnections: c.MaxConnections, Deaf: c.Deaf, Large: c.Large}
	return b.Run(ctx)
}

type benchAbuseCmd struct {
	Addr   string `required:""`
	Deaf   int
	Large  int
	Silent int
}

func (c benchAbuseCmd) Run(ctx context.Context) error {
	a := bench.Abuse{Addr: c.Addr, Deaf: c.Deaf, Large: c.Large, Silent: c.Silent}
	return a.Run(ctx)
}

type benchLoadCmd struct {
	Addr        string  `required:""`
	Owner       string  `default:"bench"`
	Things      int     `default:"10000"`
	Messages    int     `default:"100000"`
	Connections int     `default:"8"`
	InFlight    int     `default:"500"`
	Rate        float64 `default:"0"`
}

func (c benchLoadCmd) Run(ctx context.Context) error {
	l := bench.Load{Addr: c.Addr, Owner: c.Owner, Things: c.Things, Total: c.Messages, Connections: c.Connections, InFlight: c.InFlight, Rate: c.Rate}
	started := time.Now()
	err := l.Run(ctx)
	fmt.Printf("%d %d\n", l.Acked(), time.Since(started).Nanoseconds())
	return err
}
