"""Set-up: puts everything the embedded stack and the tests need in `.venv/` and `.tools/`, once."""
