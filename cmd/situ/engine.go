package main

import (
	"context"
	"fmt"
	"os"

	"github.com/situ-city/situ/internal/app"
	"github.com/situ-city/situ/internal/embedded/engine"
)

type storeCmd struct {
	app.Logging
	Data        string `help:"Data directory of the engine." required:"" type:"path"`
	Socket      string `help:"Unix socket to answer on." required:"" type:"path"`
	Library     string `help:"libchdb.so; default: looked for beside the program, in engine/ and in the user's cache." env:"SITU_ENGINE"`
	MemoryLimit uint64 `help:"Bytes the engine may use." default:"2147483648"`
}

func (c storeCmd) Run(ctx context.Context) error {
	logger := app.Logging{Level: c.Level, Format: "json"}.Logger(os.Stderr) // the parent reads the lines
	lib, err := engine.Find(c.Library)
	if err == nil {
		err = engine.Serve(ctx, engine.Config{DataDir: c.Data, Socket: c.Socket, Library: lib, MemoryLimit: c.MemoryLimit, Log: logger})
	}
	if err != nil {
		logger.Error("store", "err", err)
		os.Exit(engine.ExitCode(err)) // the supervisor goes by the code
	}
	return nil
}

type engineCmd struct {
	Install engineInstallCmd `cmd:"" help:"Fetch the engine from the npm registry into the user's cache (178 MB)."`
	Check   engineCheckCmd   `cmd:"" help:"Say where the engine is and whether it is the one expected."`
}

type engineInstallCmd struct{}

func (engineInstallCmd) Run(ctx context.Context) error {
	path, err := engine.Install(ctx, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}

type engineCheckCmd struct{}

func (engineCheckCmd) Run() error {
	path, err := engine.Find("")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "situ-engine-check")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := engine.Verify(path, dir); err != nil {
		return err
	}
	fmt.Println("ok", path)
	return nil
}
