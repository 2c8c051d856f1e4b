# genkit: `make` installs into .venv and runs the main job; `make help` lists the rest.
VENV  ?= .venv
PY    := $(VENV)/bin/python
GENKIT := $(VENV)/bin/genkit
STAMP := $(VENV)/.installed

# some hundred processes of the tests would each compile genkit anew
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := main
.PHONY: help install main test slow lint type bench docs wheel clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

main: $(STAMP) ## install, train a diffusion model on the digits, draw samples, score them
	$(GENKIT) train experiment=digits_diffusion
	$(GENKIT) sample
	$(GENKIT) eval

install: $(STAMP) ## install into .venv

$(STAMP): pyproject.toml constraints.txt
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# on two cores a third worker goes on while the others wait for a disk or a process
test: $(STAMP) ## install and pass the tests (the slow ones left out)
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n 3 -m "not slow"

slow: $(STAMP) ## short real trainings that must reach a stated quality
	OMP_NUM_THREADS=1 $(PY) -m pytest -q -n 3 -m slow

lint: $(STAMP) ## ruff
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

type: $(STAMP) ## mypy
	$(VENV)/bin/mypy

bench: $(STAMP) ## speed, as ratios measured side by side
	$(PY) scripts/bench.py

docs: $(STAMP) ## the documentation as a site in outputs/site
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --config-file scripts/site/mkdocs.yml

wheel: $(STAMP) ## build the wheel into dist/
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove .venv, dist and caches; outputs/ stay
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .mypy_cache
