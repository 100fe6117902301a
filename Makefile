# One command for each chore. `make demo` and `make test` need only python 3.11 (or later), git and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two processes side by side on two cores: threads that spin while they wait make small networks a hundred times slower.
export OMP_WAIT_POLICY := passive
test notebooks build: export OMP_NUM_THREADS := 1
export PATH := $(abspath $(BIN)):$(PATH)
READY := $(VENV)/.ready

.PHONY: demo test notebooks lab bench release lint build audit coverage modes dcgan train-ddp clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $(READY)

demo: $(READY)         ## release, a class of submissions of every kind, grading, expected against given scores
	$(BIN)/python -m coursekit.demo

test: $(READY) lint    ## every test but the notebooks
	$(BIN)/python -m pytest -n 2 --dist worksteal -q --durations=15

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --quiet --check coursekit tests benchmarks
	$(BIN)/mypy

notebooks: $(READY)    ## execute every lecture and solution, compare stable outputs
	home=$$(mktemp -d) && COURSEKIT_STATIC=1 COURSEKIT_HOME=$$home PYTHONPATH=$(CURDIR)/tests/offline \
	  $(BIN)/python -m pytest -n 2 --dist loadfile -q \
	  -p no:cacheprovider --nbval --nbval-cell-timeout=180 --nbval-sanitize-with tests/nbval.cfg -W ignore lectures solutions; \
	  status=$$?; rm -rf $$home solutions/*/*.safetensors; exit $$status

build: $(READY)        ## rewrite solutions from the exercises, lectures from their text
	$(BIN)/coursekit build --lectures

release: $(READY)      ## derive assignments and build the student bundle
	$(BIN)/coursekit release

audit: $(READY)        ## prove every exercise: mistakes rejected and named, alternatives accepted
	$(BIN)/coursekit audit

coverage: $(READY)     ## syllabus rows shown or asserted by the notebooks
	$(BIN)/coursekit coverage

bench: $(READY)        ## the figures behind the README
	$(BIN)/python benchmarks/grading.py

modes: $(READY)        ## every remedy for mode collapse on the ring and the grid: the table of lecture 4.3
	$(BIN)/python benchmarks/modes.py

dcgan: $(READY)        ## the kit's DCGAN recipe against the stock one, 4 CPU-minutes each; then the speed of a step
	$(BIN)/python benchmarks/dcgan.py
	$(BIN)/python benchmarks/training.py

train-ddp: $(READY)    ## two processes train as one: the same losses
	$(BIN)/python benchmarks/train_ddp.py

lab: $(READY)          ## JupyterLab on the course
	$(BIN)/jupyter lab

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache
