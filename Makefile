# make run   a living city on this machine, map in the browser
# make test  everything that can run here; says what it did not run and why (scripts/kafka fetches Apache Kafka for it)
# make build bin/situ bin/gateway bin/ingester bin/query

SHELL   := /bin/bash
.DEFAULT_GOAL := build
.PHONY: build run test vet bench fuzz clean tools web engine

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X github.com/situ-city/situ/internal/version.commit=$(VERSION)

# Each missing tool is named with how to get it; all of them at once, not one after the other.
tools:
	@missing=0; \
	need() { command -v $$1 >/dev/null 2>&1 || { echo "missing: $$2"; missing=1; }; }; \
	need go   "Go 1.26 or newer           https://go.dev/dl/"; \
	need $${CC:-cc} "a C compiler (for H3)       Debian: apt install gcc   macOS: xcode-select --install"; \
	need node "Node.js 20 or newer        Debian: apt install nodejs npm   https://nodejs.org/"; \
	need npm  "npm (comes with Node.js)   Debian: apt install npm"; \
	if [ $$missing = 1 ]; then echo "install what is missing and run make again"; exit 1; fi

# The ClickHouse engine as a library, 178 MB to download, linux-x64 only. Elsewhere situ runs without history, or
# with a ClickHouse server given by --clickhouse.
engine/node_modules/.done: engine/package-lock.json
	@case "$$(uname -s)-$$(uname -m)" in \
	Linux-x86_64) echo "engine: npm ci (178 MB, once)"; cd engine && npm ci --no-audit --no-fund --loglevel=error ;; \
	*) echo "engine: the embedded ClickHouse comes for linux-x64 only; run situ with --history off, or with --clickhouse on a server"; mkdir -p engine/node_modules ;; \
	esac && touch $(CURDIR)/$@
engine: tools engine/node_modules/.done

web/node_modules/.done: web/package-lock.json
	@echo "web: npm ci"; cd web && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.done
web/dist/index.html: web/node_modules/.done $(shell find web/src web/public web/index.html web/vite.config.* -type f 2>/dev/null)
	@echo "web: build"; cd web && npm run --silent build
web: tools web/dist/index.html

build: engine web
	@mkdir -p bin && echo "go: build"
	@go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/situ ./cmd/ingester ./cmd/query
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/gateway

run: build
	@exec bin/situ run --demo

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	@go vet ./...

test: engine web vet
	@set -o pipefail; bad=0; { go test -race -shuffle=on -timeout 15m -json ./...; a=$$?; \
	go test -json ./internal/protocol -run TestModel -schedules 100000; exit $$((a | $$?)); } | go run ./internal/tools/testsummary || bad=1; \
	(cd web && npm test) || bad=1; exit $$bad

bench:
	@go test -run '^$$' -bench . -benchmem ./...

# For nights: every fuzz target for FUZZTIME (2m) each; an input that fails is written beside its test.
fuzz:
	@bad=0; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' internal pkg | xargs -n1 dirname | sort -u); do \
	for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6-); do echo "$$dir $$f"; \
	go test -run '^$$' -fuzz "^$$f\$$" -fuzztime "$${FUZZTIME:-2m}" -fuzzminimizetime 100x ./$$dir || bad=1; done; done; exit $$bad

clean:
	rm -rf bin web/dist/assets web/dist/index.html
