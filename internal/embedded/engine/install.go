package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	manifest "github.com/situ-city/situ/engine"
)

// InstallDir is where Install puts the library: engine/<version> in the user's cache.
func InstallDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache directory: %w", err)
	}
	return filepath.Join(cache, "situ", "engine", npmVersion), nil
}

// Install downloads the library with npm into InstallDir and gives its path. npm checks
// it against the lock's integrity hash and is told to run no scripts. out gets npm's words.
func Install(ctx context.Context, out io.Writer) (string, error) {
	if !supported() {
		return "", &MissingError{}
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("`situ engine install` needs npm (Node.js 18 or newer) to download from the package registry: install it, or copy " +
			libraryFile + " of " + npmPackage + " " + npmVersion + " here and set " + EnvLibrary)
	}
	dir, err := InstallDir()
	if err != nil {
		return "", err
	}
	if err := writeManifest(dir); err != nil {
		return "", fmt.Errorf("prepare %s: %w", dir, err)
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--omit=dev")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("npm ci in %s: %w", dir, err)
	}
	library := filepath.Join(dir, packaged)
	if !isFile(library) {
		return "", fmt.Errorf("npm ci in %s left no %s", dir, packaged)
	}
	return library, Verify(library, dir)
}

func writeManifest(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return fs.WalkDir(manifest.Manifest, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := manifest.Manifest.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, path), b, 0o644)
	})
}
