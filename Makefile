# `make help` lists the targets. All state lives in ignored folders: .venv, .cache (builds), .cluster.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# With torch, nnU-Net and this project: that of the trainer image, where `make check-gpu` runs in one.
GPU_PYTHON ?= python3
STAMP := $(VENV)/.installed-$(shell sha256sum pyproject.toml | cut -c1-12)
PYTEST := $(PY) -m pytest -p tests.support.ledger
# Where it is set, each process that a test starts compiles the project anew, and pytest all tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv images lock demo demo-recipe tools prepare test test-first test-unit test-heavy test-integration test-timing test-trainer test-two \
	test-e2e test-soak test-kill bench-operator bench-scraping bench-trainer bench-local-copy bench-start check-gpu table-schedules pictures generate verify \
	lint format clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

venv: $(STAMP) ## Install the development tools into .venv
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		[ "$$(id -u)" = 0 ] || { echo "python3-venv is missing: sudo apt-get install python3-venv" >&2; exit 1; }; \
		apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; }
	@echo "installing the development tools into $(VENV) (1-2 minutes)"
	$(PYTHON) -m venv $(VENV)
	@# uv takes a fraction of pip's time, and does not know pip's configuration: where it fails, pip does it.
	$(VENV)/bin/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1' \
		&& $(VENV)/bin/uv pip install --quiet --python $(PY) --editable '.[dev]' \
		|| $(VENV)/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@rm -f $(VENV)/.installed-* && touch $@

images: venv ## Build the operator and trainer images, and say what is in them (BASE_IMAGE=... for a CUDA PyTorch base)
	$(PY) -m hack.images build operator trainer

lock: venv ## Lock what the images install, by version and hash (UPGRADE=1: the newest versions)
	$(PY) -m hack.images lock $(if $(UPGRADE),--upgrade)

demo: venv ## Cluster, images, helm install, a real training to a Dice score, and down again (KEEP=1 leaves it up)
	$(PY) -m hack.demo

demo-recipe: venv ## The same with nnU-Net's whole recipe: four configurations, the choice among them, one look at the test set
	$(PY) -m hack.demo recipe

test: test-first test-heavy test-two test-timing test-e2e ## Everything; needs root
	@$(PY) -m tests.support.sizes

# What needs nothing built runs beside what builds: mypy keeps one core busy, downloads none.
test-first: venv
	$(MAKE) --jobs=2 prepare lint test-unit

# Integration tests mostly wait, trainers compute: beside each other they take less time than one after the other.
test-two: tools
	$(MAKE) --jobs=2 test-integration test-trainer

tools: venv ## Build and fetch what the tests run: Kubernetes, helm, Prometheus, Grafana's panels (10-20 minutes, once)
	$(PY) -m hack.prepare

prepare: venv # tools and images, the one beside the other
	$(PY) -m hack.prepare --images

test-unit: venv ## Fast tests for daily work; the others of tests/unit are in test-heavy
	$(PYTEST) tests/unit -m "not built and not heavy" --numprocesses=auto --dist=loadfile --no-loadscope-reorder

test-heavy: tools ## Tests of units that run helm or promtool, draw, resample or start programs
	$(PYTEST) tests/unit -m "built or heavy" --numprocesses=auto --dist=loadfile --no-loadscope-reorder

test-integration: tools ## The operator and the chart against a real API server, without a kubelet
	$(PYTEST) tests/integration -m "not timing" --numprocesses=3 --no-loadscope-reorder

test-timing: tools ## Tests that bound a time, with nothing beside them
	$(PYTEST) tests/integration tests/e2e/cluster -m timing

test-trainer: venv ## Real nnU-Net inside the trainer image
	$(PY) -m tests.trainer

test-soak: prepare ## More of the same: more kills, rounds, seconds (tests/support/sizes.py); an hour
	NNUNET_SOAK=1 $(PYTEST) tests/unit -m soak --numprocesses=auto --timeout=3600
	NNUNET_SOAK=1 $(PYTEST) tests/integration -m soak
	NNUNET_SOAK=1 $(PY) -m tests.trainer -q -m soak
	NNUNET_SOAK=1 $(PYTEST) tests/e2e -m soak --timeout=1800
	$(PY) -m tests.kill
	$(PY) -m tests.support.sizes --done

test-kill: venv ## Kill a training KILLS=50 times at random instants (SEED=...): it must end as one left in peace
	$(PY) -m tests.kill $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

test-e2e: tools ## Real trainings in real pods on the local cluster
	$(PYTEST) tests/e2e -m "not timing" --timeout=900

bench-operator: venv ## Operator against bare Jobs on a real API server: latency, throughput, writes, memory
	$(PY) -m hack.benchmarks.bench_operator

bench-scraping: venv ## What it costs the operator to follow 500 folds, and a trainer to be followed (4 minutes)
	$(PY) -m hack.benchmarks.bench_scraping

bench-trainer: venv ## The trainer against plain nnU-Net: epoch time, memory, checkpoints (30 minutes, idle machine; goes on where it was)
	$(PY) -m hack.benchmarks.trainer

bench-local-copy: venv ## What a copy of the data on the node gains on a slow volume (5 minutes, root, idle machine)
	$(PY) -m hack.benchmarks.bench_local_copy

bench-start: venv ## What each stage takes however small its work is, beside plain nnU-Net (10 minutes, idle machine)
	$(PY) -m hack.benchmarks.start $(if $(BEFORE),--before $(BEFORE))

check-gpu: ## On a machine with an NVIDIA GPU: the trainer beside plain nnU-Net, in under 8 minutes (docs/development/gpu.md)
	@$(GPU_PYTHON) -m hack.benchmarks.gpu $(if $(DEVICE),--device $(DEVICE))

table-schedules: venv ## Dice of shorter and stopped trainings on tasks of known hardness (an hour; goes on where it was)
	$(PY) -m hack.benchmarks.hardness

pictures: venv ## Draw live view and dashboards anew for the docs: of made-up data, and of a real training
	$(PY) -m hack.demo.picture docs/images/live-view.svg
	$(PY) -m hack.pictures --output docs/images
	$(PYTEST) tests/e2e/test_training.py --timeout=900 --pictures=docs/images/local-cluster

generate: venv ## Write the CRDs, the install manifests and the API reference from the models and the chart
	$(PY) -m hack.generate

lint: venv ## Format, lint, types, layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy operator/nnunet_api operator/nnunet_operator operator/nnunet_cli trainer_image/nnunet_trainer hack tests
	$(VENV)/bin/lint-imports

verify: lint ## lint, and fail if a generated file or a lock is not what `make generate` or `make lock` writes
	$(PY) -m hack.generate --check
	$(PY) -m hack.images check

format: venv ## Format the code and sort the imports
	$(VENV)/bin/ruff check --fix --select I .
	$(VENV)/bin/ruff format .

clean: ## Take the local clusters down and remove all caches, images and the venv
	[ ! -x $(PY) ] || $(PY) -m hack.localcluster down --all
	rm -rf $(VENV) .cache .cluster
