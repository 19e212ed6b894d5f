# http01-relay. `make help` lists the targets.
#
# What a builder may change, on the command line or in the environment:
CXX        ?= g++
# -g1: backtraces have lines, and a fifth of the time is saved; a debugger wants -g.
CXXFLAGS   ?= -O2 -g1
LDFLAGS    ?=
PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR    ?= $(PREFIX)/lib/systemd/system
DESTDIR    ?=
BUILD      ?= build
VERSION    ?= 0.1.0
INSTALL    ?= install
# Compilations at once where make was started without -j.
JOBS       ?= $(shell nproc)

ifneq ($(words $(BUILD)),1)
$(error BUILD: "$(BUILD)": make can only build in a directory whose name has no blank in it)
endif

# What the code needs whoever builds it.
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror=switch
ifdef CI
WARNINGS += -Werror
endif
# A packager who chooses a level of fortification keeps it; without optimisation there is none, and sanitizers
# see more.
optimised := $(filter -O1 -O2 -O3 -Os,$(CXXFLAGS))
chosen    := $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CXXFLAGS))$(findstring -fsanitize,$(CXXFLAGS))
HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection -D_GLIBCXX_ASSERTIONS
fortify   := $(if $(optimised),$(if $(chosen),,-D_FORTIFY_SOURCE=3))
# STATIC=1: one file that needs nothing of the machine it runs on. Debian has no static spdlog and fmt, so
# their headers are the whole of them there.
# The same for the thread sanitizer, which sees no atomics in a library that it did not build.
spdlog := -DSPDLOG_FMT_EXTERNAL $(if $(STATIC)$(HEADER_ONLY_LOG),-DFMT_HEADER_ONLY,-DSPDLOG_COMPILED_LIB)
ifdef STATIC
linking := -fno-pie -ffunction-sections -fdata-sections -DHTTP01_RELAY_STATIC
else
linking := -fPIE
endif
needed_cppflags := -Isrc $(spdlog) \
  -DHTTP01_RELAY_VERSION='"$(VERSION)"' $(CPPFLAGS)
test_cppflags   := -I. -DBOOST_TEST_DYN_LINK -DTESTS_DIR='"$(CURDIR)/tests"'
# A test's own code runs once: to optimise it, or to describe all of its types to a debugger, would take longer
# than it saves.
test_cxxflags   := -O0 -g1
# The same source gives the same bytes wherever it lies.
needed_cxxflags := -std=c++20 -pthread $(WARNINGS) $(HARDENING) $(linking) -ffile-prefix-map='$(CURDIR)'=. $(CXXFLAGS)
ifdef STATIC
# Not static-pie: that would relocate itself at every start, and under CGI each request is one.
# Code and constants in one segment are fewer pages to map, for the same reason.
needed_ldflags  := -pthread -static -no-pie -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,-z,noseparate-code -s $(LDFLAGS)
# What these two need in their turn differs between releases: Debian 13's RE2 stands on some fifty libraries.
static_libs := $(or $(shell pkg-config --static --libs re2 libcrypto 2>/dev/null),-lre2 -lcrypto)
static_libs := $(sort $(filter -l%,$(static_libs)))
LIBS := -lfcgi -lldns -lseccomp -lpsl -lidn2 -lunistring -Wl,--start-group $(static_libs) -Wl,--end-group
else
# Debian's crtbegin.o does not say that it keeps to the shadow stack, which it does.
needed_ldflags  := -pthread -pie -Wl,-z,relro,-z,now,-z,shstk $(LDFLAGS)
LIBS := -lfcgi -lldns -lre2 -lpsl -lseccomp $(if $(HEADER_ONLY_LOG),,-lspdlog -lfmt)
endif

# The program is a library and main.cpp.
LIB_SOURCES  ?= $(filter-out src/main.cpp,$(wildcard src/*.cpp src/*/*.cpp))
TEST_SOURCES ?= tests/main.cpp $(sort $(wildcard tests/*_test.cpp tests/*/*_test.cpp))

# The tests of a room are compiled together: what they all include takes longer to read than most of them.
room_of       = $(notdir $(patsubst %/,%,$(dir $(1))))
tests_of_room = $(foreach test,$(TEST_SOURCES),$(if $(filter $(1),$(call room_of,$(test))),$(test)))
test_rooms   := $(sort $(foreach test,$(TEST_SOURCES),$(call room_of,$(test))))
test_units   := $(test_rooms:%=$(BUILD)/obj/tests/room-%)

lib_objects  := $(LIB_SOURCES:%.cpp=$(BUILD)/obj/%.o)
fuzz_objects := $(patsubst %.cpp,$(BUILD)/obj/%.o,$(wildcard tests/fuzz/*_fuzz.cpp))
test_objects := $(test_units:%=%.o) $(fuzz_objects)
main_object  := $(BUILD)/obj/src/main.o
objects      := $(lib_objects) $(test_objects) $(main_object) $(BUILD)/obj/tests/fuzz/libfuzzer.o

.DELETE_ON_ERROR:
.PHONY: all unit-tests
all: $(BUILD)/http01-relay           ## the program, build/http01-relay (the default)
unit-tests: $(BUILD)/unit-tests      ## the unit tests' program

$(BUILD)/http01-relay: $(main_object) $(BUILD)/librelay.a
	$(CXX) $(needed_cxxflags) $(needed_ldflags) -o $@ $^ $(LIBS)

$(BUILD)/unit-tests: $(test_objects) $(BUILD)/librelay.a
	$(CXX) $(needed_cxxflags) $(needed_ldflags) -o $@ $^ $(LIBS) -lboost_unit_test_framework

$(BUILD)/librelay.a: $(lib_objects)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.cpp $(BUILD)/flags
	@mkdir -p $(@D)
	$(CXX) $(needed_cppflags) $(if $(filter tests/%,$<),$(test_cppflags),$(fortify)) $(needed_cxxflags) \
	  $(if $(filter tests/%,$<),$(test_cxxflags)) -MMD -MP -c -o $@ $<

$(test_units:%=%.cpp): $(BUILD)/obj/tests/room-%.cpp: always
	@mkdir -p $(@D)
	@printf '#include "%s"\n' $(call tests_of_room,$*) | cmp -s - $@ || \
	  printf '#include "%s"\n' $(call tests_of_room,$*) > $@

$(test_units:%=%.o): %.o: %.cpp $(BUILD)/flags
	$(CXX) $(needed_cppflags) $(test_cppflags) $(needed_cxxflags) $(test_cxxflags) -MMD -MP -c -o $@ $<

# Changes when the compiler or its flags do, and all is built again.
.PHONY: always
$(BUILD)/flags: always
	@mkdir -p $(@D)
	@echo '$(CXX) $(needed_cppflags) $(fortify) $(test_cppflags) $(needed_cxxflags) $(test_cxxflags)' | cmp -s - $@ || \
	  echo '$(CXX) $(needed_cppflags) $(fortify) $(test_cppflags) $(needed_cxxflags) $(test_cxxflags)' > $@

-include $(objects:.o=.d)

# A make inside this one, for what may only begin once the compiler is installed: it works through its
# goals with this make's -j, or with JOBS where there is none.
build = +@$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

.PHONY: help deps build-deps test floors lint demo run install uninstall clean format format-check tidy asan tsan
help:                                ## this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

deps:                                ## install what building and testing need (Debian packages)
	tests/install-deps build test

build-deps:                          ## install what building alone needs (Debian packages)
	tests/install-deps build

test: deps floors lint               ## build it, then unit tests and tests with real servers
	$(build) $(BUILD)/http01-relay $(BUILD)/unit-tests
	BUILD='$(BUILD)' tests/run

.PHONY: reproducible
reproducible: build-deps             ## the program, built at two paths: the same bytes?
	tests/reproducible

SOAK_MINUTES ?= 30
.PHONY: soak
soak: deps                           ## SOAK_MINUTES=30 of mixed traffic, upgrades, kills and full disks, after floods
	$(build) $(BUILD)/http01-relay
	BUILD='$(BUILD)' SOAK_MINUTES='$(SOAK_MINUTES)' /usr/bin/python3 -B -m pytest -q -p no:cacheprovider -s \
	  tests/servers/test_dns_faults.py tests/servers/test_abuse.py tests/servers/test_life_cycle.py
	BUILD='$(BUILD)' SOAK_MINUTES='$(SOAK_MINUTES)' /usr/bin/python3 -B -m pytest -q -p no:cacheprovider -n 2 \
	  --dist load tests/servers/test_soak.py tests/servers/test_soak_operations.py
	cat '$(BUILD)/soak.txt' '$(BUILD)/soak-operations.txt'

.PHONY: sweep
sweep: deps                          ## each system call of the program fails in each way, some minutes
	$(build) $(BUILD)/http01-relay
	BUILD='$(BUILD)' SWEEP=all /usr/bin/python3 -B -m pytest -q -p no:cacheprovider -s tests/servers/test_refusals.py

# Debian's Pebble has no renewal information, no profiles and no dns-persist-01. This needs Go, and its module proxy.
PEBBLE_VERSION ?= v2.10.3
.PHONY: test-pebble
test-pebble: deps                    ## ACME clients with a newer Pebble than Debian's, built with Go
	GOBIN='$(abspath $(BUILD))/go' go install github.com/letsencrypt/pebble/v2/cmd/pebble@'$(PEBBLE_VERSION)'
	BUILD='$(BUILD)' PEBBLE='$(abspath $(BUILD))/go/pebble' /usr/bin/python3 -B -m pytest -q -p no:cacheprovider \
	  tests/servers/test_newer_pebble.py tests/servers/test_dns_persist.py tests/servers/test_acme_client_renewal_info.py

floors:                              ## who may include whom
	tests/floors

lint: deps                           ## check the scripts
	tests/lint

.PHONY: demo-deps developer-deps
demo-deps:
	tests/install-deps build demo

developer-deps:
	tests/install-deps build test developer

demo: demo-deps                      ## a certificate, shown step by step, on this machine alone
	$(build) $(BUILD)/http01-relay
	@BUILD='$(BUILD)' tests/demo

PORT ?= 8081
run: demo-deps                       ## the relay behind lighttpd in the foreground, PORT=8081
	$(build) $(BUILD)/http01-relay
	@BUILD='$(BUILD)' tests/foreground $(PORT)

units := $(notdir $(wildcard deploy/systemd/*.service deploy/systemd/*.socket))
# All that is shipped, but what has a place of its own and what container images are built from.
examples := $(shell cd deploy && find . -type f -not -path './man/*' -not -path './systemd/*' \
  -not -path './debian/*' -not -path './docker/*' -not -path './acme-client/*' -not -path './logrotate/*' \
  -not -path './tmpfiles.d/*' | sed 's|^./||' | sort)
# The shell reads these from its environment: whatever is in them needs no quoting that make could get wrong.
install uninstall: export DESTDIR := $(DESTDIR)
install uninstall: export PREFIX := $(PREFIX)
install uninstall: export SYSCONFDIR := $(SYSCONFDIR)
install uninstall: export UNITDIR := $(UNITDIR)
doc_dir = "$$DESTDIR$$PREFIX/share/doc/http01-relay"
man_dir = "$$DESTDIR$$PREFIX/share/man"
unit_dir = "$$DESTDIR$$UNITDIR"
tmpfiles = "$$DESTDIR$$PREFIX/lib/tmpfiles.d/http01-relay.conf"
logrotate = "$$DESTDIR$$SYSCONFDIR/logrotate.d/http01-relay"
installed_config = "$$DESTDIR$$SYSCONFDIR/http01-relay/http01-relay.toml"
# Shipped files name the places of a distribution's package. in_place ESCAPE FILE TARGET; ESCAPE: by sed, how a
# path is written in there. systemd splits at blanks.
in_place = in_place() { \
  escaped() { printf '%s\n' "$$1" | sed -e "$$2" -e 's/[\\&|]/\\&/g'; }; \
  echo "$$3"; install -D -m 644 /dev/null "$$3"; \
  sed -e "s|/usr/bin/http01-relay|$$(escaped "$$PREFIX" "$$1")/bin/http01-relay|g" \
      -e "s|/etc/http01-relay/|$$(escaped "$$SYSCONFDIR" "$$1")/http01-relay/|g" \
      -e "s|/usr/share/doc/|$$(escaped "$$PREFIX" "$$1")/share/doc/|g" "$$2" >"$$3"; }
install: all                         ## to DESTDIR, PREFIX, SYSCONFDIR, UNITDIR; a configuration that is there stays
	$(INSTALL) -D -s -m 755 $(BUILD)/http01-relay "$$DESTDIR$$PREFIX/bin/http01-relay"
	test -e $(installed_config) || install -D -m 644 etc/http01-relay.toml $(installed_config)
	test -e $(logrotate) || install -D -m 644 deploy/logrotate/http01-relay $(logrotate)
	install -D -m 644 deploy/tmpfiles.d/http01-relay.conf $(tmpfiles)
	install -D -m 644 etc/http01-relay.toml $(doc_dir)/http01-relay.toml
	install -D -m 644 deploy/man/http01-relay.8 $(man_dir)/man8/http01-relay.8
	install -D -m 644 deploy/man/http01-relay.toml.5 $(man_dir)/man5/http01-relay.toml.5
	@set -e; $(in_place); for file in $(units); do \
	  in_place 's/ /\\x20/g; s/%/%%/g' "deploy/systemd/$$file" $(unit_dir)/"$$file"; done
	@set -e; $(in_place); for file in $(filter-out kubernetes/%,$(examples)); do \
	  in_place '' "deploy/$$file" $(doc_dir)/examples/"$$file"; done
	@set -e; for file in $(filter kubernetes/%,$(examples)); do \
	  install -D -m 644 "deploy/$$file" $(doc_dir)/examples/"$$file"; done

uninstall:                           ## all that install put there but the configuration, and a logrotate file that was changed
	rm -f "$$DESTDIR$$PREFIX/bin/http01-relay" $(tmpfiles)
	! cmp -s deploy/logrotate/http01-relay $(logrotate) || rm -f $(logrotate)
	rm -f $(man_dir)/man8/http01-relay.8 $(man_dir)/man5/http01-relay.toml.5
	for file in $(units); do rm -f $(unit_dir)/"$$file"; done
	rm -rf $(doc_dir)

.PHONY: static static-deps test-static deb
static-deps:
	tests/install-deps build static

static: static-deps                  ## the program as one file for any Linux, build-static/http01-relay
	$(build) STATIC=1 BUILD=build-static build-static/http01-relay

test-static: deps static             ## the static program: what shared hosts get, and its time to start
	$(build) $(BUILD)/http01-relay
	BUILD='$(BUILD)' tests/run static

# In a copy, since Debian's tools want debian/ at the top and write there. LINTIAN= leaves out the look at it.
LINTIAN ?= lintian
deb:                                 ## a Debian package, build-deb/*.deb, looked at by lintian
	tests/install-deps build package $(if $(LINTIAN),lintian)
	rm -rf build-deb
	mkdir -p build-deb/http01-relay
	cp -R Makefile etc src deploy build-deb/http01-relay
	mv build-deb/http01-relay/deploy/debian build-deb/http01-relay/debian
	cd build-deb/http01-relay && DEB_BUILD_OPTIONS='parallel=$(JOBS)' \
	  dpkg-buildpackage --no-pre-clean --build=binary --unsigned-changes --unsigned-buildinfo
	$(if $(LINTIAN),$(LINTIAN) --allow-root --fail-on error$(comma)warning build-deb/http01-relay_*.changes)
	rm -rf build-deb/http01-relay

.PHONY: bench bench-deps
bench_programs := $(addprefix $(BUILD)/bench/,hello hello_cgi load dns_server cache_size)
bench-deps:
	tests/install-deps build test static bench

bench: bench-deps static             ## how fast it is: a table, build/bench.md, in some ten minutes
	$(build) $(BUILD)/http01-relay $(bench_programs)
	BUILD='$(BUILD)' /usr/bin/python3 -B tests/bench/run.py

$(BUILD)/bench/hello: tests/bench/hello.c
	@mkdir -p $(@D)
	$(CC) -O2 -pthread -o $@ $< -lfcgi

$(BUILD)/bench/hello_cgi: tests/bench/hello_cgi.c
	@mkdir -p $(@D)
	$(CC) -O2 -static -s -o $@ $<

$(BUILD)/bench/load $(BUILD)/bench/dns_server: $(BUILD)/bench/%: tests/bench/%.cpp
	@mkdir -p $(@D)
	$(CXX) -std=c++20 -O2 $(WARNINGS) -o $@ $<

$(BUILD)/bench/cache_size: tests/bench/cache_size.cpp $(BUILD)/librelay.a
	@mkdir -p $(@D)
	$(CXX) $(needed_cppflags) $(needed_cxxflags) $(needed_ldflags) -o $@ $^ $(LIBS)

.PHONY: test-image
test-image:                          ## the container image: build it without a container engine, run it (as root)
	tests/test-image

clean:                               ## remove what was built
	rm -rf build build-asan build-tsan build-fuzz build-static build-deb
	find tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf .pytest_cache

all_sources := $(wildcard src/*.cpp src/*.h src/*/*.cpp src/*/*.h tests/*.cpp tests/*.h tests/*/*.cpp tests/*/*.h \
  tests/bench/*.c)
format: developer-deps               ## clang-format all C++
	clang-format -i $(all_sources)

format-check: developer-deps         ## fail where format would change something
	clang-format --dry-run -Werror $(all_sources)

tidy: developer-deps                 ## clang-tidy (.clang-tidy)
	printf '%s\n' $(LIB_SOURCES) src/main.cpp | xargs -P $(JOBS) -I {} \
	  clang-tidy --quiet --warnings-as-errors='*' {} -- $(needed_cppflags) -std=c++20

# All tests again on a build that watches itself: addresses and undefined behaviour, or threads.
sanitized = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS)) BUILD=build-$(1) \
  CXXFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=$(2) -fno-sanitize-recover=all' LDFLAGS='-fsanitize=$(2)' \
  build-$(1)/http01-relay build-$(1)/unit-tests
asan: deps                           ## all tests with the address and undefined behaviour sanitizers
	+$(call sanitized,asan,address$(comma)undefined)
	BUILD=build-asan SLOWNESS=5 tests/run

tsan: deps                           ## all tests with the thread sanitizer
	+$(call sanitized,tsan,thread) HEADER_ONLY_LOG=1
	BUILD=build-tsan SLOWNESS=10 tests/run
comma := ,

# Each target of tests/fuzz is a program of its own; clang has libFuzzer.
FUZZ_SECONDS ?= 600
FUZZ_CXX     ?= clang++
fuzz_targets := $(patsubst tests/fuzz/%_fuzz.cpp,%,$(wildcard tests/fuzz/*_fuzz.cpp))
FUZZ_TARGETS ?= $(fuzz_targets)
# A step outside a string or vector is seen even where the address sanitizer would not.
fuzz_cxxflags := -O1 -g -fno-omit-frame-pointer -D_GLIBCXX_ASSERTIONS \
  -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
.PHONY: fuzz fuzz-programs
fuzz:                                ## FUZZ_SECONDS=600 for each of FUZZ_TARGETS (all), FUZZ_JOBS=1 at once
	tests/install-deps build fuzz
	$(build) BUILD=build-fuzz CXX='$(FUZZ_CXX)' test_cxxflags=-O1 CXXFLAGS='$(fuzz_cxxflags)' fuzz-programs
	FUZZ_SECONDS='$(FUZZ_SECONDS)' tests/fuzz/run $(FUZZ_TARGETS)

fuzz-programs: $(fuzz_targets:%=$(BUILD)/fuzz-%)
$(BUILD)/fuzz-%: $(BUILD)/obj/tests/fuzz/%_fuzz.o $(BUILD)/obj/tests/fuzz/libfuzzer.o $(BUILD)/librelay.a
	$(CXX) $(needed_cxxflags) -fsanitize=fuzzer $(needed_ldflags) -o $@ $^ $(LIBS)
.PRECIOUS: $(BUILD)/obj/tests/fuzz/%.o
