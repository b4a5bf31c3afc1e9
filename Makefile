# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEV := pytest pytest-cov pytest-xdist hypothesis seqeval sacrebleu rouge-score ruff mypy types-PyYAML \
	transformers peft gguf huggingface_hub av jiwer

.PHONY: help demo test lint bench docs clean
help:
	@echo "make demo   train, evaluate, use and report a network on the embedded digits"
	@echo "make test   the tests"
	@echo "make lint   ruff and mypy"
	@echo "make bench  the benchmarks beside the peers (long; makes an environment for each)"
	@echo "make docs   the examples of README and guide, run as tests"

$(BIN)/luthier: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "luthier needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $(BIN)/luthier

$(VENV)/dev: $(BIN)/luthier
	$(BIN)/pip install --quiet --constraint constraints.txt $(DEV)
	@touch $(VENV)/dev

demo: $(BIN)/luthier
	$(BIN)/luthier train recipes/digits.yaml --out runs/demo --overwrite
	$(BIN)/luthier evaluate runs/demo
	$(BIN)/luthier predict runs/demo docs/pictures/digit_*.png

test: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(BIN)/luthier
	$(BIN)/python benchmarks/image_training.py --json benchmarks/results/image_training.json
	$(BIN)/python benchmarks/cifar_resnet.py --json benchmarks/results/cifar_resnet.json
	$(BIN)/python benchmarks/language_training.py --json benchmarks/results/language_training.json
	$(BIN)/python benchmarks/fine_tuning.py --json benchmarks/results/fine_tuning.json
	$(BIN)/python benchmarks/text_learning.py --json benchmarks/results/text_learning.json
	$(BIN)/python benchmarks/series_learning.py --json benchmarks/results/series_learning.json
	$(BIN)/python benchmarks/speech_learning.py --json benchmarks/results/speech_learning.json
	$(BIN)/python benchmarks/bert_pretraining.py --json benchmarks/results/bert_pretraining.json
	$(BIN)/luthier train recipes/tang_poems.yaml --overwrite
	$(BIN)/python benchmarks/poems.py runs/tang_poems --json benchmarks/results/poems.json
	$(BIN)/python benchmarks/results.py

docs: $(VENV)/dev
	$(BIN)/python -m pytest tests/test_docs.py

clean:
	rm -rf $(VENV) build dist *.egg-info
