"""The simulator in `make test`: some seeds, every plan that ever broke something, and what they must reach."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.sim.invariants.base import HOOKS, Invariant, Violated, Watch
from tests.sim.invariants.coverage import CODES, EXPECTED, never_reached
from tests.sim.many import many
from tests.sim.mutants.plant import ROOT, mutants
from tests.sim.plan import Plan
from tests.sim.run import INVARIANTS, run
from tests.sim.seeds import plan_of

FIRST, SEEDS = 1, 96  # the same ones each time: `make sim` is where new ones are looked for
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.json"))
ALWAYS_REACHED = (
    "crash observer-1",
    "store unheard postgres",
    "net lost",
    "heartbeat park",
    "heartbeat of a lost lease",
)


@pytest.mark.timeout(900)
def test_seeds_hold() -> None:
    briefs = list(many(FIRST, SEEDS, workers=2))
    red = [f"{b.what}\n  make sim SEED={b.seed}" for b in briefs if b.broke]
    assert not red, "\n".join(red)
    reached: Counter[str] = Counter()
    for b in briefs:
        reached += b.reached
    assert [mark for mark in ALWAYS_REACHED if not reached[mark]] == []


@pytest.mark.parametrize("file", REGRESSIONS, ids=lambda f: f.stem)
def test_what_broke_once_holds(file: Path) -> None:
    outcome = run(Plan.read(file))
    assert outcome.green, outcome.what


def test_every_mutant_still_applies() -> None:
    planted = mutants()
    assert len({m.name for m in planted}) == len(planted) >= 30
    for mutant in planted:
        compile(mutant.source(), mutant.file, "exec")


def test_a_plan_is_a_file_and_back(tmp_path: Path) -> None:
    plan = plan_of(11)
    file = tmp_path / "plan.json"
    file.write_text(plan.to_json())
    assert Plan.read(file) == plan


def test_the_same_plan_gives_the_same_digest_and_another_one_another() -> None:
    assert run(plan_of(5)).digest == run(plan_of(5), keep=True).digest != run(plan_of(6)).digest


def test_every_invariant_has_a_sentence_a_name_of_its_own_and_a_hook() -> None:
    assert len({make.__name__ for make in INVARIANTS}) == len(INVARIANTS)
    for make in INVARIANTS:
        assert len(make.sentence) > 20, make
        assert set(vars(make)) & set(HOOKS), make


def test_every_reason_of_admission_is_expected_to_be_reached() -> None:
    domain = ROOT / "services" / "observer" / "domain"
    said = {
        code
        for file in ("refusals.py", "verdict_check.py")
        for code in re.findall(r'code="([A-Z]\w+)"', (domain / file).read_text())
    }
    assert len(said) > 8
    assert said - set(CODES) == set()


def test_what_was_never_reached_is_listed() -> None:
    assert never_reached(EXPECTED) == []
    assert len(EXPECTED) == len(set(EXPECTED)) > 64
    assert never_reached([*EXPECTED[1:], "something else"]) == [EXPECTED[0]]


def test_the_first_invariant_that_breaks_ends_the_run() -> None:
    class Never(Invariant):
        sentence = "It never holds, whatever happens."

        def judged(self, writer: str, before: object, after: object) -> None:
            self.broken("as always")

    failures: list[BaseException] = []
    from tests.sim.kernel.record import Record

    watch = Watch([Never(Record(lambda: 1.5))], failures.append)
    watch.tell("ended", None)
    watch.tell("judged", "observer-1.1", {}, {})
    assert [type(f) for f in failures] == [Violated]
    assert str(failures[0]) == "Never at 1.500 s: as always"
