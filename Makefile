# chwsyncd. `make help` lists what can be made.
BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
VERSION  := 0.1.0
CC       ?= gcc
CFLAGS   ?= -O2 -g
PKGS     := libcurl libpq json-c libconfig libsystemd
OUR_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DCHWSYNCD_VERSION='"$(VERSION)"' -Idaemon -MMD -MP \
    -Wall -Wextra -Wconversion -Wswitch-enum -Wshadow -Wstrict-prototypes -Werror \
    -fmacro-prefix-map=$(CURDIR)/= $(SANITIZE)
OUR_LIBS := -lcrypt -lm
Q        := $(if $(V),,@)# V=1 shows every compiler line

# Asked of pkg-config when a compiler runs, so that `make help` and `make deps` work without the packages.
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS   = $(shell pkg-config --libs $(PKGS))

SOURCES := $(wildcard daemon/*.c daemon/*/*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/gen/sql_files.o
LIBRARY := $(filter-out $(BUILD)/daemon/main.o,$(OBJECTS))
FLOOR_0 := $(filter $(BUILD)/daemon/base/% $(BUILD)/daemon/wire/% $(BUILD)/daemon/rules/%,$(OBJECTS))
PURE    := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/pure/test_*.c))
UNIT    := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
SQLTEST := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/sql/test_*.c))
HELPERS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
PANEL   := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/panel/scripted.c,$(wildcard tests/panel/*.c)))

.DELETE_ON_ERROR:
.PHONY: all help deps demo check check-long check-layers check-pure check-format check-unit check-sql check-panel \
    check-scenario asan crash tests simulate bench coverage fuzz fuzzers format clean

all: $(BUILD)/chwsyncd ## build/chwsyncd

help: ## this list
	@grep -hE '^[a-z -]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18
	@echo 'Variables: BUILD=$(BUILD) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) CFLAGS="$(CFLAGS)"'

deps: ## install the Debian packages that are missing (as root or with sudo)
	@tests/lib/install-dependencies

$(BUILD)/chwsyncd: $(OBJECTS)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(OUR_LIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CFLAGS) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/gen/sql_files.o: $(BUILD)/gen/sql_files.c Makefile
	$(Q)$(CC) $(OUR_CFLAGS) $(PKG_CFLAGS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/gen/sql_files.c: sql/embed.sh $(wildcard sql/*.sql sql/*/*.sql)
	@mkdir -p $(@D)
	sql/embed.sh > $@

# The pure floor links alone, with json-c over memory and nothing else of ours.
$(PURE): $(BUILD)/tests/unit/pure/%: $(BUILD)/tests/unit/pure/%.o $(FLOOR_0)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^ -ljson-c -lcmocka -lm

$(UNIT): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(HELPERS) $(LIBRARY)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(OUR_LIBS) -lcmocka -lssl -lcrypto

$(SQLTEST): $(BUILD)/tests/sql/%: $(BUILD)/tests/sql/%.o $(LIBRARY)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(OUR_LIBS) -lcmocka

$(BUILD)/panel: $(PANEL)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^ -lmicrohttpd

$(BUILD)/scripted: $(BUILD)/tests/panel/scripted.o $(BUILD)/tests/panel/text.o
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^

$(BUILD)/notify_recorder: $(BUILD)/tests/lib/notify_recorder.o
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^

# The daemon's own rules on a virtual clock, and nothing else of it but the text they make.
$(BUILD)/simulate: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/simulate/*.c)) $(filter $(BUILD)/daemon/rules/% $(BUILD)/daemon/base/%,$(OBJECTS))
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^ -lm

# Its calls of the door for statements are caught: the bench prints the daemon's statements.
$(BUILD)/bench-tool: $(BUILD)/tests/bench/tool.o $(LIBRARY)
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -Wl,--wrap=connection_run -o $@ $^ $(PKG_LIBS) $(OUR_LIBS)

# Only what a target uses is linked to it.
$(BUILD)/daemon.a: $(LIBRARY)
	$(Q)rm -f $@ && ar rcs $@ $^

$(FUZZERS): $(BUILD)/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/daemon.a
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(OUR_LIBS)

$(BUILD)/relay: $(BUILD)/tests/lib/relay.o
	$(Q)$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^

tests: all $(BUILD)/simulate $(BUILD)/bench-tool $(BUILD)/panel $(BUILD)/scripted $(BUILD)/relay $(BUILD)/notify_recorder $(PURE) $(UNIT) $(SQLTEST)

# The sanitizer build lives beside the plain one and is made by the same rules.
ASAN_MAKE := +$(MAKE) --no-print-directory BUILD=$(BUILD)/asan CFLAGS='-O1 -g -fno-omit-frame-pointer' \
    SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all'
asan: ## the same, built with AddressSanitizer and UndefinedBehaviorSanitizer, in build/asan
	$(ASAN_MAKE) tests

# A daemon that dies where it is told to (host/crash_point.h).
crash: ## the daemon with crash points, in build/crash
	+$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/crash CPPFLAGS=-DCHW_CRASH_POINTS all

# libFuzzer is clang's. Its warnings are not gcc's: gcc's builds are those that may not warn.
fuzzers:
	+$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang CFLAGS='-O1 -g -w' \
	    SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' \
	    $(patsubst $(BUILD)/%,$(BUILD)/fuzz/%,$(FUZZERS))

FUZZ_SECONDS ?= 600
fuzz: deps fuzzers ## libFuzzer on replies, configuration and flight journal, FUZZ_SECONDS=600 each
	@BUILD=$(BUILD) tests/fuzz/run $(FUZZ_SECONDS)

demo: deps ## the main job on a throwaway PostgreSQL, the sample store and the simulated provider
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/panel
	@BUILD=$(BUILD) tests/demo/run

check: deps ## all tests; ends with "N passed, N failed"
	@BUILD=$(BUILD) tests/lib/check

check-long: deps ## what takes longer: longer stalls and the larger runs
	@BUILD=$(BUILD) tests/lib/check long

bench: deps ## the table of rates and costs, on a throwaway cluster
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/panel $(BUILD)/bench-tool
	@BUILD=$(BUILD) tests/bench/run; run=$$?; BUILD=$(BUILD) tests/bench/schedule && BUILD=$(BUILD) tests/bench/size && exit $$run

simulate: deps ## the rules of budget and polling on a virtual clock, bar by bar; choosing a batch in the database (minutes)
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/simulate $(BUILD)/bench-tool
	@$(BUILD)/simulate; run=$$?; BUILD=$(BUILD) tests/bench/schedule && exit $$run

check-unit check-sql check-panel check-scenario: check-%: ## one kind of tests alone
	@BUILD=$(BUILD) tests/lib/check $*

check-layers: ## includes never climb floors
	@tests/lib/check-layers

check-pure: $(FLOOR_0) ## floor 0 asks for no clock, file, socket or process
	@tests/lib/check-pure $(FLOOR_0)

check-format: ## clang-format would change nothing
	@find daemon tests -name '*.[ch]' | xargs clang-format --dry-run -Werror

format: ## apply clang-format
	find daemon tests -name '*.[ch]' | xargs clang-format -i

coverage: ## line coverage of the pure floor by its own tests
	@BUILD=$(BUILD) tests/lib/coverage

clean: ## remove BUILD
	rm -rf $(BUILD)

include systemd/install.mk

-include $(shell find $(BUILD) -name '*.d' -type f -not -path '$(BUILD)/asan/*' -not -path '$(BUILD)/crash/*' \
    -not -path '$(BUILD)/deb/*' 2>/dev/null)
