package main

import (
	"context"
	"os"
	"runtime/pprof"

	"github.com/situ-city/situ/internal/app"
)

type runCmd struct {
	app.Config
	app.Logging
	CPUProfile string `name:"cpu-profile" help:"Write a CPU profile here until the end." type:"path" env:"SITU_CPU_PROFILE" hidden:""`
}

func (runCmd) Help() string {
	return `Everything listens on loopback unless told otherwise. Keys and passwords are made at the first start and printed once.

Examples:
  situ run --demo                            a simulated city; then open the address it prints
  situ run --auto-register                   take any reading of any Thing on this machine
  situ run --mqtt 0.0.0.0:1883               let devices in, with the user and password it prints
  situ run --config situ.yaml                flags and sources from a file; a flag beats SITU_* beats the file`
}

func (c runCmd) Run(ctx context.Context, all *cli) error {
	file, err := app.ReadFile(all.Config)
	if err != nil {
		return err
	}
	c.Config.File = file
	if c.CPUProfile != "" {
		f, err := os.Create(c.CPUProfile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return app.Run(ctx, c.Config, c.Logger(os.Stderr), os.Stdout)
}
