"""What a workflow says about itself while it runs: one text, its reasons, and how far it is."""

from collections.abc import Sequence
from typing import assert_never

from temporalio import workflow

from shared.contracts.base import ReasonModel
from shared.contracts.deployment import AddFleetStep, BakeStep, JudgeStep, RemoveFleetStep, ShareStep, Step
from shared.contracts.progress import Progress


class Board:
    """Mutable; `shown` is the answer of the query `progress`, and Temporal's own page shows the text too."""

    def __init__(self, subject: str) -> None:
        self._progress = Progress(subject=subject)
        self.steps = 0

    @property
    def shown(self) -> Progress:
        """As of now."""
        return self._progress

    def say(self, phase: str, text: str, reasons: Sequence[ReasonModel] = (), step: int | None = None) -> None:
        """Replace what is shown; the same words again keep their `since`."""
        old = self._progress
        number = old.step if step is None else step
        same = (old.phase, old.text, old.step) == (phase, text, number)
        since = old.since if same else workflow.time()
        self._progress = Progress(
            subject=old.subject,
            phase=phase,
            step=number,
            steps=self.steps,
            text=text,
            reasons=tuple(reasons),
            since=since,
        )
        if not same:
            workflow.set_current_details(f"{phase}: {text}")


def because(reasons: Sequence[ReasonModel]) -> str:
    """The reasons as one line.

    >>> because([ReasonModel(code="Held", scope="group/a", text="a deployment runs")])
    'a deployment runs'
    """
    return "; ".join(r.text for r in reasons) or "no reason was given"


def step_text(step: Step) -> str:
    """What a step of a deployment does.

    >>> step_text(BakeStep(seconds=90.0))
    'baking for 90 s'
    """
    match step:
        case AddFleetStep():
            return f"making fleet {step.fleet}"
        case ShareStep():
            return f"giving {step.fleet} {step.percent} % of the group"
        case BakeStep():
            return f"baking for {step.seconds:.0f} s"
        case JudgeStep():
            return f"judging {step.fleet} against {step.against or 'nothing'}"
        case RemoveFleetStep():
            return f"removing fleet {step.fleet}"
        case _:
            assert_never(step)
