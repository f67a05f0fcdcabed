"""How fast the simulator is: seeds a second by kind, on one core and on all, beside an empty world in the same run.

The empty world is the same event loop with as many callbacks as the seeds had, and nothing in them: timers of tasks that
sleep. Each seed is followed by its empty world, so that both see the same machine; what the services, the wires and the
invariants cost is the ratio. A seed is at least one simulated hour.
"""


def main() -> None:
    """Imported late: workers import this file too, before they thaw dataclasses, and must find nothing in it."""
    from benchmarks.simulator_parts.measuring import main as measure

    measure()


if __name__ == "__main__":
    main()
