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
	Load    benchLoadCmd    `cmd:"" hidden:"" help:"The load generator of bench journey, a process of its own."`
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
