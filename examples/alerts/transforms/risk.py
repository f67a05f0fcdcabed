"""How likely a departure is to miss its connections: one function for the pipeline, for pushed events and for features."""

from typing import Any

from headrace_runtime import NonRecoverable, transform

MINUTES = 60.0


@transform(name="risk")
def risk(event: dict[str, Any]) -> dict[str, Any]:
    """Puts `risk` in [0, 1] into an event or a plane's features; a delay of more than a day is none."""
    delay = float(event.get("delay") or 0)
    if delay > 24 * MINUTES:
        raise NonRecoverable(f"a delay of {delay:g} minutes", reason="NoSuchDelay")
    return event | {"risk": round(max(0.0, delay) / (max(0.0, delay) + MINUTES), 3)}
