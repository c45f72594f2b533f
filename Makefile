# Glimpse. `make demo` shows it, `make test` proves it.

GO   ?= go
LINT := $(GO) tool -modfile=tools/lint/go.mod golangci-lint
UNIT := $$($(GO) list ./... | grep -v /e2e)

.PHONY: help deps demo detector build check lint test test-long rows bench bench-peer curves clean

help:            ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' Makefile

deps:            ## install what demo and tests need and this machine lacks
	@scripts/deps.sh all

demo:            ## cloud + simulated glasses + demo app + animal detector: live video in a browser
	@scripts/deps.sh demo
	@$(GO) build -o bin/glimpse-detect ./cmd/glimpse-detect || echo "demo: going on without the animal detector"
	@$(MAKE) --no-print-directory build
	@bin/glimpse demo --detector bin/glimpse-detect

detector:        ## bin/glimpse-detect, with a C compiler and the library that it loads
	@scripts/onnxruntime.sh
	@CGO_ENABLED=1 $(GO) build -trimpath -o bin/glimpse-detect ./cmd/glimpse-detect

build:           ## the server as one static binary, bin/glimpse
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/glimpse ./cmd/glimpse

lint:            ## the linters of .golangci.yml
	@$(LINT) run ./...

check:           ## format, vet, lint, unit tests with the race detector, rows
	@fmt=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$fmt" || { echo "gofmt -w would change:"; echo "$$fmt"; exit 1; }
	@$(GO) vet ./...
	@$(LINT) run ./...
	@for os in linux darwin windows; do CGO_ENABLED=0 GOOS=$$os $(GO) build -o /dev/null ./cmd/glimpse || exit 1; done
	@$(GO) test -race -timeout 180s $(UNIT)
	@$(GO) run ./tools/rows -check

test: deps check build ## check, then the real binary against ffmpeg, Chromium and the published SDKs
	@GLIMPSE_BIN=$(CURDIR)/bin/glimpse $(GO) test -count=1 -timeout 1500s ./e2e/...

test-long: deps check build ## also soaks, matrices, fuzzing and benchmarks
	@scripts/deps.sh long
	@GLIMPSE_BIN=$(CURDIR)/bin/glimpse GLIMPSE_LONG=1 $(GO) test -count=1 -timeout 3600s ./e2e/...
	@GLIMPSE_LONG=1 $(GO) test -race -count=1 -timeout 1200s -run TestHistories ./internal/control/session
	@GLIMPSE_LONG=1 $(GO) test -count=1 -timeout 600s ./internal/media/codec
	@scripts/fuzz.sh 20s
	@$(MAKE) --no-print-directory bench

rows:            ## rows of docs/checklist.md that no test names
	@$(GO) run ./tools/rows

bench: build     ## what it costs, as JSON lines and a table; fails when a promise is broken
	@$(GO) run ./bench -server bin/glimpse -rounds 1 -check

bench-peer: build ## the same beside another server: PEER=peer.json (bench/README.md), medians of 5
	@$(GO) run ./bench -server bin/glimpse -peer $(PEER)

curves: build    ## the scale curves of docs/performance.md, as SVG
	@$(GO) run ./bench -server bin/glimpse -rounds 1 -only rtmp,whep -sizes 10,100,500,1000 > bin/curves.jsonl
	@$(GO) run ./bench -server bin/glimpse -rounds 1 -only hls -sizes 10,100,500,1000 >> bin/curves.jsonl
	@$(GO) run ./bench -server bin/glimpse -rounds 1 -only rtmp-ingest,srt-ingest,whip-ingest -sizes 1,10,100 >> bin/curves.jsonl
	@$(GO) run ./tools/plot -o docs bin/curves.jsonl

clean:           ## remove what was built
	@rm -rf bin
