# Each command is complete on a fresh machine: make demo, make test, make docs, make notebooks.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_EPOCHS := 50

.PHONY: demo test docs notebooks clean

demo: $(VENV)/demo
	@echo
	@echo "1. A model trained on people recognizes synthetic voices, which its training never used:"
	$(BIN)/echoic predict data/sample/stream.wav
	@echo
	@echo "   The words and their times, as they were recorded: data/sample/stream.tsv"
	@sed 's/^/     /' data/sample/stream.tsv
	@echo
	@echo "2. Train one of your own, on the small synthetic sample (about a minute):"
	$(BIN)/echoic train gru --data data/sample --out runs/demo --overwrite \
	  --set training.epochs=$(DEMO_EPOCHS) --set training.cooldown_epochs=10 --set training.batch_size=48 \
	  --set "data.extra_data=[]" --set "training.teachers=[]"
	@echo
	@echo "3. Measure it on speakers that training did not use:"
	$(BIN)/echoic evaluate runs/demo --data data/sample --split test
	@echo
	@echo "Now yours. First: source $(BIN)/activate"
	@echo "  echoic predict RECORDING                 name the words in your own recording"
	@echo "  echoic plot data/sample/stream.wav       draw the probabilities over time"
	@echo "  echoic download                          the real data set, 2.4 GB"
	@echo "  echoic train gru --out models/mine       and a model of your own on it (hours)"

test: docs
	$(BIN)/ruff format --check src tests benchmarks data docs notebooks
	$(BIN)/ruff check src tests benchmarks data docs notebooks
	$(BIN)/mypy
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

docs: $(VENV)/ready
	$(BIN)/python docs/layers.py
	$(BIN)/python docs/api.py
	$(BIN)/python docs/check.py
	$(BIN)/zensical build --clean --strict

# Run every notebook in full and keep what it shows; the tests run short versions.
notebooks: $(VENV)/ready
	$(BIN)/python notebooks/run.py

# The environment, made again when what it depends on has changed: what the demo needs, and the rest.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable
# On all cores, which pip does not; files that no Python 3 compiles are nobody's.
COMPILE := $(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true

$(VENV)/demo: pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "echoic needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Python has no venv here. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	@echo "Installing echoic into $(VENV) (TensorFlow is large: a minute or two)"
	@$(INSTALL) '.[train]'
	@$(COMPILE)
	@$(BIN)/python -c 'import sounddevice' 2>/dev/null || \
	  echo "PortAudio is missing, so the microphone is not available. Debian and Ubuntu: sudo apt install libportaudio2; Fedora: sudo dnf install portaudio"
	@touch $@

$(VENV)/ready: $(VENV)/demo
	@echo "Installing what develops and tests echoic into $(VENV)"
	@$(INSTALL) '.[dev]'
	@$(COMPILE)
	@touch $@

clean:
	rm -rf $(VENV) runs build dist site
