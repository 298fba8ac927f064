package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/situ-city/situ/internal/torture"
)

type tortureCmd struct {
	World    string        `short:"w" help:"embedded: situ run. kafka: gateways, ingesters and query as processes, Apache Kafka and Mosquitto between them." default:"embedded" enum:"embedded,kafka"`
	Rounds   int           `short:"n" help:"So many rounds of sending, faults and judgement." default:"20"`
	Round    int           `short:"k" help:"Only this round: to replay one that failed."`
	Seed     uint64        `short:"s" help:"The same seed plans the same faults; 0 = one of now."`
	Faults   []string      `short:"f" help:"Kinds of faults: kill, stop, net, disk, clock, dup, qos2, flood (more than the spools hold); with Kafka also reset (the topic is made anew), rewind (its log goes backwards). Default: all that the world has."`
	Sending  time.Duration `help:"How long a round sends." default:"1500ms"`
	Senders  int           `help:"MQTT clients." default:"6"`
	Rate     int           `help:"Messages a second." default:"1500"`
	Dir      string        `help:"Directory of the run: sent list, logs, data; default: a new one, removed when all went well." type:"path"`
	Programs string        `help:"Directory of gateway, ingester and query; default: that of this program." type:"path"`
	JSON     bool          `name:"json" help:"The report as JSON."`
}

func (tortureCmd) Help() string {
	return `Runs situ as processes and sends it numbered messages while it kills, stops, cuts off, fills and confuses them at random. After every round SQL is the judge: what was acknowledged is there, and nothing is there twice. Exit code 1 if a promise was broken; the report then says how to replay the round. It also tells how long it took from each kill to the first new row, by what was killed, and how busy the machine was.

Examples:
  situ torture
  situ torture --rounds 300 --seed 7
  situ torture --world kafka --rounds 60 --faults kill,net
  situ torture --faults qos2,kill,clock --rounds 30      connections broken between the packets of QoS 2, wrong clocks
  situ torture --world kafka --faults reset,rewind       the topic made anew; its log put back to an older copy
  situ torture --seed 7 --round 41`
}

func (c tortureCmd) Run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano())
	}
	if c.Programs == "" {
		c.Programs = filepath.Dir(self)
	}
	keep := c.Dir != ""
	if c.Dir == "" {
		if c.Dir, err = os.MkdirTemp("", "situ-torture-"); err != nil {
			return err
		}
	}
	report, err := torture.Run(ctx, torture.Config{World: c.World, Seed: c.Seed, Rounds: c.Rounds, Round: c.Round, Faults: c.Faults,
		Sending: c.Sending, Senders: c.Senders, Rate: c.Rate, Dir: c.Dir, Keep: keep, Situ: self, Programs: c.Programs, Out: os.Stderr})
	if report == nil {
		return err
	}
	if c.JSON {
		err = errors.Join(err, report.JSON(os.Stdout))
	} else {
		report.Text(os.Stdout)
	}
	if len(report.Failures) > 0 {
		return errors.Join(err, fmt.Errorf("a promise was broken in round %d: %s", report.FailedRound, strings.Join(report.Failures[:1], "")))
	}
	return err
}
