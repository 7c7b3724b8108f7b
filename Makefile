GO ?= go

# With a C compiler on Linux the journal is read through libsystemd; the two shim headers are enough
# to build, and real ones win where they are installed. Elsewhere journalctl is run.
export CGO_CFLAGS ?= -g -O2 -idirafter $(CURDIR)/stack/journal/shim
CC_FOUND := $(shell command -v $${CC:-cc} 2>/dev/null)
ifeq ($(shell $(GO) env GOOS)/$(if $(CC_FOUND),cc),linux/cc)
TAGS := -tags sdjournal
RACE := -race
endif
# A program built with -race sleeps for a second when it exits; the stack is many short programs.
export GORACE ?= atexit_sleep_ms=0

# What drives whole stacks is tested without -race as well: the detector slows races down so much
# that the seeded ones hardly happen.
STACKED := ./corpus ./cmd/...
PURE := $(shell $(GO) list ./... 2>/dev/null | grep -v -e '^chaos/corpus$$' -e '^chaos/cmd/')

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort

build: ## build bin/chaos
	$(GO) build -buildvcs=auto $(TAGS) -o bin/chaos ./cmd/chaos

test: ## run every test
	$(GO) vet $(TAGS) ./...
	$(GO) test $(TAGS) $(RACE) -timeout 8m $(PURE)
	$(GO) test $(TAGS) -timeout 8m $(STACKED)

check: fmt-check lint test ## what must pass before a commit

fmt: ## format the code
	gofmt -s -w cmd model actions invariants stack corpus

fmt-check:
	@out=$$(gofmt -s -l cmd model actions invariants stack corpus); test -z "$$out" || { echo "not formatted (make fmt): $$out"; exit 1; }

lint: ## staticcheck, at the version that .ci/lint.mod pins
	$(GO) tool -modfile=.ci/lint.mod staticcheck ./...

regress: ## run the promoted cases: each fails with its bug and passes on the clean stack
	$(GO) test $(TAGS) -count=1 -v -run TestRegressions ./corpus

prove: build ## prove every seeded bug over ten seeds (takes long) and write the table to bin/proof.md
	bin/chaos prove --seeds 10 --budget 60s --markdown bin/proof.md --json-file bin/proof.json

clean-run: ## 100,000 random steps on the clean stack: no finding may come
	$(GO) run $(TAGS) ./cmd/chaos run --plans 3500 --workers 4

bench: ## plans and steps a second, and the engine's own cost against a bare loop of the same requests
	$(GO) test $(TAGS) -run '^$$' -bench . -benchtime 5s ./cmd/internal/campaign

compare: ## chaos against two plain rapid tests on the same seeded bugs, one table (takes 20 minutes; COMPARE='-seeds 1 -bugs name-race')
	$(GO) test $(TAGS) -count=1 -timeout 3h -v -run TestCompare ./cmd/internal/campaign/baseline -args -compare $(COMPARE)

FUZZTIME ?= 5s
fuzz: ## a few seconds for each fuzz target (FUZZTIME=1m for more)
	@set -e; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z]*' $$dir/*_test.go | sed 's/func //'); do \
			echo "$$dir $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir; \
		done; done

clean: ## remove what was built and the folders of runs
	rm -rf bin chaos-out

.PHONY: help build test check fmt fmt-check lint regress prove clean-run bench compare fuzz clean
