"""Every cell of the admission matrix, in every state of the holder, against the table as the architecture prints it."""

import itertools

import pytest

from services.observer.domain.activities import ParkAsk
from services.observer.domain.admission import Blocked, Granted, Yielding, decide
from services.observer.domain.matrix import COLUMNS, MATRIX, Cell
from shared.domain.activity import ActivityKind as K
from shared.domain.names import RequestId
from shared.domain.scope import SYSTEM
from tests.observer.requests import LIMITS, NOW, A, B, C, P, activity, healthy, lapsed, request, seen

AS_PRINTED = """
| requested | ROLLBACK | SCALE_OUT | DEPLOY        | RAMP  | PROVISION | DRIFT_REPAIR | SCALE_IN | FREEZE |
| ROLLBACK     | wait | ok   | takes it over | yield | wait | yield | yield | ok   |
| SCALE_OUT    | ok   | wait | yield         | ok    | ok   | ok    | yield | ok   |
| DEPLOY       | wait | wait | queue         | wait  | wait | wait  | wait  | wait |
| RAMP         | wait | wait | wait          | wait  | wait | wait  | wait  | wait |
| PROVISION    | wait | wait | wait          | wait  | wait | wait  | wait  | wait |
| DRIFT_REPAIR | wait | wait | wait          | wait  | wait | wait  | wait  | wait |
| SCALE_IN     | wait | wait | wait          | wait  | wait | wait  | wait  | wait |
| FREEZE       | ok   | ok   | ok            | ok    | ok   | ok    | ok    | ok   |
"""


def printed() -> dict[tuple[K, K], Cell]:
    _, *rows = [[c.strip() for c in line.strip("|").split("|")] for line in AS_PRINTED.strip().splitlines()]
    return {(K(r[0]), held): Cell(cell) for r in rows for held, cell in zip(COLUMNS, r[1:], strict=True)}


CELLS = printed()
PAIRS = list(itertools.product(K, K))


def test_the_data_is_the_table_of_the_architecture() -> None:
    assert {(r, h): MATRIX[r][h] for r, h in PAIRS} == CELLS


@pytest.mark.parametrize(("asked", "held"), PAIRS)
def test_cell_while_held(asked: K, held: K) -> None:
    answer = decide(request(asked), seen(activity(held)), LIMITS)
    match CELLS[asked, held]:
        case Cell.OK:
            assert answer == Granted()
        case Cell.WAIT | Cell.QUEUE:
            assert isinstance(answer, Blocked)
            assert len(answer.reasons) == 1
            assert answer.reasons[0].compared
            assert answer.retry_after_s > 0
        case Cell.YIELD:
            assert isinstance(answer, Yielding)
            assert answer.asks == ("act-1",)
        case Cell.TAKE_OVER:
            assert answer == Granted(takes_over=("act-1",))  # type: ignore[arg-type]


@pytest.mark.parametrize(("asked", "held"), PAIRS)
def test_cell_while_parked(asked: K, held: K) -> None:
    """Parking makes way for who it yields to, and keeps the place before everybody else."""
    answer = decide(request(asked), seen(activity(held, parked=True)), LIMITS)
    cell = CELLS[asked, held]
    assert isinstance(answer, Blocked if cell in (Cell.WAIT, Cell.QUEUE) else Granted)


@pytest.mark.parametrize(("asked", "held"), PAIRS)
def test_cell_after_it_was_asked_for_30_s(asked: K, held: K) -> None:
    asks = {s: ParkAsk(RequestId("r"), NOW - s, NOW) for s in (29.9, 30.0)}
    if CELLS[asked, held] is not Cell.YIELD:
        return
    assert isinstance(decide(request(asked), seen(activity(held, ask=asks[29.9])), LIMITS), Yielding)
    assert decide(request(asked), seen(activity(held, ask=asks[30.0])), LIMITS) == Granted()


@pytest.mark.parametrize(("asked", "held"), PAIRS)
@pytest.mark.parametrize("swept", [False, True])
def test_cell_after_the_lease_lapsed(asked: K, held: K, swept: bool) -> None:
    """A grant that conflicts with a lapsed lease waits out the longest call deadline; beside an ended one it does not."""
    conflicts = CELLS[asked, held] is not Cell.OK and held is not K.FREEZE
    soon = decide(request(asked), seen(lapsed(held, 29.0, swept=swept)), LIMITS)
    assert isinstance(soon, Blocked) == conflicts
    if isinstance(soon, Blocked):
        assert soon.reasons[0].code == "LapsedLeaseQuarantine"
        assert soon.retry_after_s == pytest.approx(1.0)
    assert decide(request(asked), seen(lapsed(held, 30.0, swept=swept)), LIMITS) == Granted()


@pytest.mark.parametrize(("asked", "held"), PAIRS)
def test_cell_on_an_unrelated_group(asked: K, held: K) -> None:
    answer = decide(request(asked, A), seen(activity(held, C)), LIMITS)
    if (asked, held) == (K.DEPLOY, K.DEPLOY):
        assert isinstance(answer, Blocked)
        assert [r.code for r in answer.reasons] == ["DeploymentsAtLimit"]
    else:
        assert answer == Granted()


@pytest.mark.parametrize(("asked", "held"), PAIRS)
def test_cell_on_another_group_of_the_pipeline(asked: K, held: K) -> None:
    """DEPLOY, RAMP and PROVISION wait for one another; the rest does not mind."""
    answer = decide(request(asked, A), seen(activity(held, B)), LIMITS)
    changing = {K.DEPLOY, K.RAMP, K.PROVISION}
    if asked in changing and held in changing:
        assert isinstance(answer, Blocked)
        assert answer.reasons[0].code == "PipelineBusy"
    else:
        assert answer == Granted()


@pytest.mark.parametrize(("asked", "held"), PAIRS)
def test_cell_where_one_scope_contains_the_other(asked: K, held: K) -> None:
    inner = decide(request(asked, A), seen(activity(held, P)), LIMITS)
    outer = decide(request(asked, P), seen(activity(held, A)), LIMITS)
    same = decide(request(asked, A), seen(activity(held, A)), LIMITS)
    assert type(inner) is type(outer) is type(same)


@pytest.mark.parametrize("kind", list(K))
def test_a_freeze_of_the_system_holds_everything_that_waits_for_freezes(kind: K) -> None:
    answer = decide(request(kind), seen(activity(K.FREEZE, SYSTEM, reason="year end")), LIMITS)
    assert isinstance(answer, Blocked) == (CELLS[kind, K.FREEZE] is Cell.WAIT)
    if isinstance(answer, Blocked):
        assert answer.reasons[0].code == "Frozen"
        assert "year end" in answer.reasons[0].text


def test_all_reasons_at_once_and_nobody_is_asked_to_park_for_nothing() -> None:
    """SCALE_OUT waits for another SCALE_OUT: the deployment beside it is not disturbed."""
    answer = decide(request(K.SCALE_OUT), seen(activity(K.SCALE_OUT, token=1), activity(K.DEPLOY, token=2)), LIMITS)
    assert isinstance(answer, Blocked)
    assert [r.code for r in answer.reasons] == ["ScaleOutRunning", "DeployRunning"]


def test_rollback_takes_over_only_what_it_names() -> None:
    deploy = activity(K.DEPLOY)
    assert decide(request(K.ROLLBACK, takes_over=deploy.id), seen(deploy), LIMITS) == Granted((deploy.id,))
    other = decide(request(K.ROLLBACK, takes_over="act-99"), seen(deploy), LIMITS)
    assert isinstance(other, Blocked)
    assert other.reasons[0].code == "OtherDeployment"


@pytest.mark.parametrize(("asked", "held"), PAIRS)
def test_a_persons_reason_makes_a_ramp_make_way_for_a_deployment_and_changes_no_other_cell(asked: K, held: K) -> None:
    beside = seen(activity(held), verdicts=healthy())
    given = decide(request(asked, override_reason="it is the fix"), beside, LIMITS)
    plain = decide(request(asked), beside, LIMITS)
    if (asked, held) != (K.DEPLOY, K.RAMP):
        assert type(given) is type(plain)
        return
    assert isinstance(given, Yielding)
    standing = seen(activity(held, parked=True), verdicts=healthy())
    assert decide(request(asked, override_reason="it is the fix"), standing, LIMITS) == Granted()
    assert isinstance(decide(request(asked), standing, LIMITS), Blocked)
