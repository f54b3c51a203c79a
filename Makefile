# Needs Python 3.11 to 3.13, git and make; everything else is set up here, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
# Certificates of the machine, as pip takes them: uv brings its own list otherwise.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1

.PHONY: demo test check bench soak kill mutations install install-dev install-bench lock browser docs golden clean

demo: install
	$(BIN)/winback demo

test: install-dev browser
	$(BIN)/python -m pytest -n 3 --dist worksteal

check: install-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src flows
	$(BIN)/python docs/generate.py --check

bench: install-dev install-bench
	$(BIN)/python benchmarks/run.py

# All that takes long: each point of the crash matrix alone, 200 kills on each database, 200 years
# of the simulation and longer stories, and every mutation.
soak: install-dev
	$(BIN)/python -m pytest -m soak
	WINBACK_SEEDS=200 WINBACK_STORIES=300 $(BIN)/python -m pytest tests/simulation
	$(BIN)/python -m tests.mutations

# The kill test alone, so many kills on each database.
KILLS ?= 200
kill: install-dev
	$(BIN)/python -m tests.soak.kill --kills $(KILLS)

# Takes away what carries each promise, and sees that a test fails.
mutations: install-dev
	$(BIN)/python -m tests.mutations

docs: install-dev
	$(BIN)/python docs/generate.py

# Writes the golden renderings anew: look at the diff before committing it.
golden: install-dev
	WINBACK_GOLDEN=write $(BIN)/python -m pytest tests/messages/test_golden.py

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev
install-bench: $(VENV)/.installed-bench

# uv installs in seconds; where it cannot be had or does not work, plain pip does the same, slower.
define install_locked
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || true
	@{ test -x $(BIN)/uv \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable . ; } \
	|| { echo "installing with pip, which takes some minutes" \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable . ; }
endef

$(VENV)/.installed: requirements.txt pyproject.toml
	@echo "setting up $(VENV)"
	$(call install_locked,requirements.txt)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt pyproject.toml
	@echo "setting up $(VENV) with the tools of development"
	$(call install_locked,requirements-dev.txt)
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: requirements-bench.txt
	@echo "adding the peer that the benchmarks measure to $(VENV)"
	$(call install_locked,requirements-bench.txt)
	@touch $@

# The pages are tested in a real browser.
browser:
	@command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 \
		|| command -v google-chrome >/dev/null 2>&1 \
		|| { echo "installing chromium for the tests of the pages"; \
		     { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
		     || $(BIN)/python -m playwright install chromium; }

lock: install-dev
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate -q -o requirements-dev.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate -q \
		-c requirements-dev.txt -o requirements.txt
	$(BIN)/uv pip compile --group bench --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate -q \
		-c requirements-dev.txt -o requirements-bench.txt

clean:
	rm -rf $(VENV) var
