"""The examples in the embedded AWS's own docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import localcloud.aws

MODULES = sorted(
    one.name
    for one in pkgutil.walk_packages(localcloud.aws.__path__, "localcloud.aws.")
    if not one.ispkg and not one.name.endswith("__main__") and ".pulumi" not in one.name
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) > 10
