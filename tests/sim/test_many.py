"""Many seeds at once: what runs in children of thawed processes is what runs here."""

import dataclasses
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.sim import many
from tests.sim.kernel import thawed
from tests.sim.mutants.plant import NAME_OF_MUTANT, ROOT


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    names: tuple[str, ...] = ()


class _Thawed:
    name: str
    names: tuple[str, ...] = ()


class _OwnHash:
    name: str
    rest: list[str] = field(default_factory=list, init=False)

    def __hash__(self) -> int:
        return 7


Thawed: Any = thawed._thawed(_Thawed, frozen=True, slots=True)
OwnHash: Any = thawed._thawed(frozen=True)(_OwnHash)


def test_a_seed_is_the_same_in_a_child_of_a_thawed_process_and_in_one_that_has_logged_as_shipped() -> None:
    program = """
from services.observer.operations.observe import LOG
from shared.telemetry.logs import configure_logs
from tests.sim.many import brief
configure_logs("observer")
LOG.info("before the first seed")
print(*(brief(seed).digest for seed in (5, 6)))"""
    assert [b.digest for b in many.many(5, 2, workers=1)] == subprocess.check_output(
        [sys.executable, "-c", program], cwd=ROOT, text=True
    ).split()


def test_a_child_that_breaks_says_with_what() -> None:
    def broken(seed: int) -> many.Brief:
        raise KeyError(f"no world for {seed}")

    with pytest.raises(RuntimeError, match=r"seeds 5 to 7.*no world for 5"):
        many.in_a_child(range(5, 8), broken)


def test_thawed_ones_are_equal_hash_and_are_replaced_as_frozen_ones() -> None:
    one, other = Thawed("a", ("b",)), Frozen("a", ("b",))
    assert hash(one) == hash(other)
    assert one == Thawed("a", ("b",)) != Thawed("a")
    changed = thawed._replaced(one, name="c")
    assert (changed.name, changed.names, one.name) == ("c", ("b",), "a")
    with pytest.raises(TypeError, match="unexpected"):
        thawed._replaced(one, nothing=1)
    assert hash(OwnHash("a")) == 7
    assert thawed._replaced(OwnHash("a"), name="b").name == "b"
    with pytest.raises(ValueError, match="init=False"):
        thawed._replaced(OwnHash("a"), rest=["x"])


def test_nothing_is_thawed_where_the_product_is_already_there() -> None:
    thawed.thaw()
    assert dataclasses.dataclass is thawed._real_dataclass


def python(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_a_red_seed_of_many_is_repeated_by_the_command_that_is_printed_under_any_hash_seed() -> None:
    bugged = {NAME_OF_MUTANT: "lapsed_lease_is_renewed"}
    said = python("-m", "tests.sim", "sim", "--first", "0", "--seeds", "6", "--workers", "1", **bugged)
    found = re.search(
        r"^red: (?P<what>.*)\n     make sim SEED=(?P<seed>\d+)\n +digest (?P<digest>\w+)$", said, re.MULTILINE
    )
    assert found, said
    repeated = [
        python("-m", "tests.sim", "sim", "--seed", found["seed"], "--no-shrink", PYTHONHASHSEED=hash_seed, **bugged)
        for hash_seed in ("1", "2")
    ]
    assert repeated[0] == repeated[1]
    last = repeated[0].splitlines()[-1]
    assert last.startswith(f"seed={found['seed']} digest={found['digest']} "), last
    assert last.endswith(f": {found['what']}"), last
