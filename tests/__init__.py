"""The test-suite: unit (no database), integration (a database), acceptance (real processes, signals, a browser)."""
