"""The examples in the data plane's docstrings hold."""

import doctest
import importlib
import pkgutil

import headrace_runtime
import pytest

import dataplane.agent
import dataplane.client
import dataplane.client.core
import dataplane.driving
import dataplane.feature_server
import dataplane.ingest_server
import dataplane.serving
import dataplane.stages

PACKAGES = (
    dataplane.agent,
    dataplane.client,
    dataplane.client.core,
    dataplane.driving,
    dataplane.feature_server,
    dataplane.ingest_server,
    dataplane.serving,
    dataplane.stages,
    headrace_runtime,
)
MODULES = sorted(
    f"{p.__name__}.{m.name}" for p in PACKAGES for m in pkgutil.iter_modules(p.__path__) if m.name != "__main__"
)


@pytest.mark.parametrize("name", [*MODULES, "headrace_runtime"])
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
