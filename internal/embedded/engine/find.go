package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// EnvLibrary names the library's path when it is not in one of the usual places.
const EnvLibrary = "SITU_ENGINE"

const (
	libraryFile  = "libchdb.so"
	npmPackage   = "@chdb/lib-linux-x64-gnu"
	npmVersion   = "26.7.3-stable.1"
	downloadSize = "178 MB"
)

// packaged is where npm puts the library below the directory with our package.json.
var packaged = filepath.Join("node_modules", filepath.FromSlash(npmPackage), libraryFile)

// MissingError says that the engine library is not there and how to get it.
type MissingError struct {
	Searched []string
}

func (e *MissingError) Error() string {
	if !supported() {
		return "there is no embedded ClickHouse engine for " + runtime.GOOS + "/" + runtime.GOARCH +
			" (only linux/amd64 with glibc): give the address of a ClickHouse server, or run with --history off"
	}
	return "the ClickHouse engine library is missing: run `situ engine install` (downloads " + downloadSize +
		" with npm), or `npm ci` in engine/ of the source tree, or set " + EnvLibrary + " to the path of " + libraryFile +
		"; looked in " + strings.Join(e.Searched, ", ")
}

func supported() bool { return runtime.GOOS == "linux" && runtime.GOARCH == "amd64" }

// PinError: the library is not the pinned build.
type PinError struct {
	Path, Got, Want string
}

func (e *PinError) Error() string {
	return fmt.Sprintf("engine library %s has SHA-256 %s, this situ wants %s (%s %s): install it anew with `situ engine install`",
		e.Path, e.Got, e.Want, npmPackage, npmVersion)
}

// Find gives the path of the engine library: path itself if not "", else SITU_ENGINE,
// else the first that exists beside the executable, in engine/ beside or above the
// executable or above the working directory, or in the user's cache (see Install). It
// gives a *MissingError if none does, also for a path that was asked for.
func Find(path string) (string, error) {
	if path = first(path, os.Getenv(EnvLibrary)); path != "" {
		if isFile(path) {
			return filepath.Abs(path)
		}
		return "", &MissingError{Searched: []string{path}}
	}
	candidates := usualPlaces()
	for _, c := range candidates {
		if isFile(c) {
			return c, nil
		}
	}
	return "", &MissingError{Searched: candidates}
}

func usualPlaces() []string {
	var places []string
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		places = append(places, filepath.Join(dir, libraryFile))
		places = append(places, filepath.Join(dir, "engine", packaged), filepath.Join(dir, "..", "engine", packaged))
	}
	if wd, err := os.Getwd(); err == nil {
		for dir := wd; ; dir = filepath.Dir(dir) {
			places = append(places, filepath.Join(dir, "engine", packaged))
			if dir == filepath.Dir(dir) || isFile(filepath.Join(dir, "go.mod")) {
				break
			}
		}
	}
	if dir, err := InstallDir(); err == nil {
		places = append(places, filepath.Join(dir, packaged))
	}
	return places
}

// isFile follows links. What cannot be read is as good as absent: Find's error lists it.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
