# Two commands do all the set-up on a machine with Python 3.11 or newer: `make demo` and `make test`.
#
# PYTHON        the interpreter that makes .venv
# TORCH_INDEX   an index to take torch from, e.g. the CPU build (200 MB instead of about 3 GB):
#               make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= python3
TORCH_INDEX ?=
BIN := .venv/bin
STAMP := .venv/installed
TORCH_FLAGS := $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX),)

.PHONY: demo test test-slow check format install clean

install: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed (make PYTHON=python3.11 ...)"; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "Installing into .venv. torch is taken as pip resolves it: on Linux the CUDA build, a download of about 3 GB;"
	@echo "without a GPU: make $(MAKECMDGOALS) TORCH_INDEX=https://download.pytorch.org/whl/cpu (about 200 MB)"
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=24,<26.2'
	$(BIN)/python -m pip install --quiet $(TORCH_FLAGS) 'torch>=2.10' 'torchvision>=0.25'
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/medvlm-tui --batch --demo --out medvlm-demo
	@echo
	@echo "The files of the demo are in medvlm-demo/. Open the screens on the same results with:"
	@echo "  $(BIN)/medvlm-tui --workspace medvlm-demo/workspace"

# A file's tests share what they set up; two processes use what one leaves idle, more than four cost memory.
test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/hygiene tests/measures tests/core tests/catalog tests/settings tests/render tests/report

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
