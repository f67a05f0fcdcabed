"""What crosses a process boundary: frozen pydantic models, one module per subject."""
