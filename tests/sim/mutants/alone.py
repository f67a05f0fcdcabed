"""One planted bug looked for in a process of its own: `python -m tests.sim.mutants.alone SEEDS`, planted by the environment.

Says as JSON after how many seeds it was found, in which one and by what; `broke` is empty when it was not.
"""

import json
import sys

# First of ours: what is bugged is bugged while it is imported.
from tests.sim.mutants.plant import NAME_OF_MUTANT  # noqa: F401
from tests.sim.run import run
from tests.sim.seeds import plan_of


def main() -> None:
    """Seeds in order, until the first red one."""
    most = int(sys.argv[1])
    found: dict[str, object] = {"tried": most, "seed": -1, "broke": ""}
    for seed in range(most):
        outcome = run(plan_of(seed))
        if outcome.broke:
            found = {"tried": seed + 1, "seed": seed, "broke": outcome.broke}
            break
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
