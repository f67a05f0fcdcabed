"""What a worker does before it imports the product: plant the bug that the environment names, and thaw dataclasses."""

from tests.sim.kernel.thawed import thaw

# Imported for what it does.
from tests.sim.mutants.plant import NAME_OF_MUTANT  # noqa: F401


def begin() -> None:
    """For pools of processes: unpickling it imports nothing of the product."""
    thaw()
