"""What a run came to: admission cells, transitions of activities and verdicts, reasons. What no seed reaches is not tested.

`EXPECTED` is written out, so that something new in the product does not count as reached by not being listed: reasons
that a run gives and that are not listed are shown too.
"""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from headraceapi.observer.v1 import observer_pb2

from services.observer.domain.activities import Activity
from services.observer.domain.verdict import Verdict
from shared.domain.scope import Scope
from tests.sim.invariants.admission_table import CELLS, meet
from tests.sim.invariants.base import Commit, Invariant
from tests.sim.kernel.rpc import Call

KINDS = tuple(sorted({requested for requested, _ in CELLS}))
CODES = (
    *(f"{''.join(word.title() for word in k.split('_'))}Running" for k in KINDS if k != "FREEZE"),
    *(f"Verdict{state}" for state in ("Unknown", "Unhealthy", "Degraded")),
    "Frozen", "AskedToPark", "LapsedLeaseQuarantine", "PipelineBusy", "DeploymentsAtLimit", "Superseded", "SignalStale",
    "SignalAgeMissing", "BacklogUnknown", "Backlog", "LeaseLapsed", "TakenOver", "OtherDeployment", "AlreadyEnded", "Ended",
    "QuietClassNotAllowed",
)  # fmt: skip
ENDS = ("done", "failed", "cancelled", "taken_over", "expired")
STATES = ("HEALTHY", "DEGRADED", "UNHEALTHY", "UNKNOWN")
EXPECTED = (
    *(f"cell {requested} / {held}" for requested, held in CELLS),
    *(f"activity {a} -> {b}" for a, b in (("live", "parked"), ("parked", "live"), ("live", "asked"))),
    *(f"activity {a} -> {b}" for a, b in product(("live", "parked"), ENDS)),
    *(f"verdict {a} -> {b}" for a, b in product(STATES, STATES) if a != b),
    *(f"code {code}" for code in CODES),
)


def never_reached(reached: Iterable[str]) -> list[str]:
    """What is expected and was not seen."""
    return sorted(set(EXPECTED) - set(reached))


class Coverage(Invariant):
    """It watches as invariants do, and nothing breaks it."""

    sentence = "Every cell of admission, every transition and every reason is reached by some seed."

    def answered(self, call: Call, response: Any) -> None:
        """A Begin, granted or not, meets what is held."""
        if "before" not in call.seen or not call.method.endswith("/Begin"):
            return
        state, now = call.seen["before"]
        kind = observer_pb2.ActivityKind.Name(call.request.kind).removeprefix("ACTIVITY_KIND_")
        scope = Scope.parse(call.request.scope)
        for held in state.live(now):
            if held.request != call.request.request_id and meet(scope, held.scope, state.topology):
                self.record.reach(f"cell {kind} / {held.kind.value}")

    def committed(self, commit: Commit) -> None:
        """Activities change."""
        for before, after in commit.changed:
            was, now = _state(before), _state(after)
            if was != now:
                self.record.reach(f"activity {was} -> {now}")
            if after.ask and not before.ask and now == "live":
                self.record.reach("activity live -> asked")

    def judged(self, writer: str, before: Mapping[Scope, Verdict], after: Mapping[Scope, Verdict]) -> None:
        """Verdicts change."""
        for scope, verdict in after.items():
            old = before.get(scope)
            if old is not None and old.state is not verdict.state:
                self.record.reach(f"verdict {old.state.value} -> {verdict.state.value}")


def _state(a: Activity) -> str:
    return a.outcome.value if a.outcome is not None else "parked" if a.parked else "live"
