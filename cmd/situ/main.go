// Command situ is the whole engine in one program: `situ run` takes readings over MQTT, keeps them, and shows the
// live map; the other commands feed it, ask it and measure it. `situ COMMAND --help` shows examples.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/version"
)

// Exit codes, beside 0: everything is done.
const (
	exitFailed  = 1  // it ran, and something went wrong
	exitUsage   = 2  // the command line or the configuration is wrong
	exitRefused = 78 // it cannot start here: directory in use, port in use, engine missing (EX_CONFIG)
)

type cli struct {
	Run         runCmd         `cmd:"" help:"All in one process: MQTT in, history, live map, SQL."`
	Sim         simCmd         `cmd:"" help:"A seeded city that speaks real protocols over MQTT."`
	Replay      replayCmd      `cmd:"" help:"Play a CSV data set over MQTT, faster than life."`
	Register    registerCmd    `cmd:"" help:"Register Things from a CSV file; one verdict a row."`
	Source      sourceCmd      `cmd:"" help:"Check a source's configuration with a payload."`
	SQL         sqlCmd         `cmd:"" name:"sql" help:"Run one SELECT on the history."`
	Adapter     adapterCmd     `cmd:"" help:"Take devices in that speak HJ 212, SL 651 or GB/T 26875.3 over TCP."`
	Deadletters deadlettersCmd `cmd:"" help:"What could not become an observation, and why: list, show, replay."`
	Redecode    redecodeCmd    `cmd:"" help:"Read kept payloads again, by a newer decoder, and have the history show what it says."`
	Balance     balanceCmd     `cmd:"" help:"What became of every acknowledged message; exit code 1 if one is missing."`
	Bench       benchCmd       `cmd:"" help:"Measure the journey on this machine."`
	Torture     tortureCmd     `cmd:"" help:"Kill, stop, cut off and fill situ at random, and let SQL judge what is left."`
	Store       storeCmd       `cmd:"" help:"The ClickHouse engine as a child process (situ run starts it)."`
	Schema      schemaCmd      `cmd:"" help:"Print the ClickHouse tables for a cluster."`
	Engine      engineCmd      `cmd:"" help:"Install or check the embedded ClickHouse engine."`
	Version     versionCmd     `cmd:"" help:"Which situ this is."`
	Config      string         `help:"Configuration file (YAML): flags by name, and sources." type:"path" env:"SITU_CONFIG"`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	res, err := app.Resolver(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "situ:", err)
		return exitUsage
	}
	var c cli
	exited := -1
	k, err := newParser(&c, kong.Resolvers(res), kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil))).Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "situ: %v; see 'situ --help'\n", err)
		return exitUsage
	}
	return code(k.Run())
}

func newParser(c *cli, more ...kong.Option) *kong.Kong {
	return kong.Must(c, append([]kong.Option{kong.Name("situ"),
		kong.Description("The situation of a city, live: MQTT in, ClickHouse history, H3 map."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true})}, more...)...)
}

// code turns an error into an exit code, saying it once.
func code(err error) int {
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	fmt.Fprintln(os.Stderr, "situ:", err)
	switch {
	case errors.Is(err, app.ErrConfig):
		return exitUsage
	case errors.Is(err, app.ErrRefused):
		return exitRefused
	}
	return exitFailed
}

type versionCmd struct{}

func (versionCmd) Run() error {
	fmt.Println(version.String())
	return nil
}
