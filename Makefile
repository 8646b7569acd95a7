# Every command that a developer, an operator on a laptop, or CI needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What no database changes: pages in the browser, starting the house, who may open which page, and modules that ask none.
NO_DATABASE := browser integration/test_house.py site/test_dates_in_german.py site/test_docs.py site/test_doors.py site/test_query_counts.py site/test_up.py site/test_environment.py site/test_error_reporting.py schedules/test_cron.py schedules/test_cron_oracle.py \
	schedules/test_cron_words_oracle.py schedules/test_phrases.py schedules/test_policies.py schedules/test_simple_modes.py \
	schedules/test_working_days.py newsletters/test_content.py newsletters/test_fetching.py newsletters/test_html_source.py \
	newsletters/test_import_files.py newsletters/test_mergetags.py newsletters/test_message.py newsletters/test_message_headers.py \
	newsletters/test_mjml.py newsletters/test_reader_words.py newsletters/test_journal.py newsletters/test_kinds.py \
	newsletters/test_smtp_connections.py newsletters/test_smtp_encryption.py newsletters/test_smtp_envelope.py newsletters/test_smtp_login.py \
	newsletters/test_smtp_nonsense.py newsletters/test_splicing.py reports/test_charts.py reports/test_csv_file.py \
	reports/test_formula_corpus.py reports/test_parquet_file.py reports/test_pdf_file.py reports/test_periods.py \
	reports/test_round_trips.py reports/test_xlsx_file.py runs/test_words.py

.PHONY: help run test lint faults bench

help:
	@echo "make run    start everything with demo data (PORT=, DATA_DIR=, ADMIN_PASSWORD=)"
	@echo "make test   run the tests on SQLite and on PostgreSQL"
	@echo "make lint   style, types, import layers, migrations"
	@echo "make bench  measures scheduling, the admin's lists, the sending, reports and cleanup against their peers (about an hour)"
	@echo "make faults breaks every part for hours, on SQLite and on PostgreSQL, and prints the tables"

$(VENV)/.installed: requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements.txt $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: $(VENV)/.installed
	@exec $(BIN)/python manage.py up

test: $(VENV)/.installed-dev
	@command -v chromium-headless-shell >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium-headless-shell fonts-noto-core >/dev/null; } \
		|| command -v chromium >/dev/null || { echo "The browser tests need chromium; install it with: sudo apt-get install chromium" >&2; exit 1; }
	@{ command -v postfix && command -v dovecot; } >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postfix dovecot-imapd dovecot-pop3d >/dev/null; } \
		|| { echo "The mail tests need Postfix and Dovecot; install them with: sudo apt-get install postfix dovecot-imapd dovecot-pop3d" >&2; exit 1; }
	@command -v soffice >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libreoffice-calc-nogui >/dev/null; } \
		|| echo "LibreOffice is missing: the test that opens report files with it is skipped." >&2
	$(BIN)/python -m pytest -n 4 --no-loadscope-reorder
	$(BIN)/python -m tests.postgres $(BIN)/python -m pytest -n 4 --no-loadscope-reorder $(NO_DATABASE:%=--ignore=tests/%)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	DATA_DIR=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run
	DATA_DIR=$$(mktemp -d) SECRET_KEY=$$($(BIN)/python -c "import secrets; print(secrets.token_urlsafe(50))") PUBLIC_URL=https://almanac.example.org $(BIN)/python manage.py check --deploy --fail-level WARNING

faults: $(VENV)/.installed-dev
	DATABASE_URL= $(BIN)/python -m tests.faults --full --markdown
	$(BIN)/python -m tests.postgres $(BIN)/python -m tests.faults --full --markdown

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/dispatch.py
	$(BIN)/python benchmarks/idle.py
	$(BIN)/python benchmarks/admin.py
	$(BIN)/python benchmarks/send.py
	$(BIN)/python benchmarks/reports.py
	$(BIN)/python benchmarks/cleanup.py
