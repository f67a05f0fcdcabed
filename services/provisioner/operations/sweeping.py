"""What terminated workflows and dead processes left behind: ended or told, never guessed."""

from datetime import timedelta

from services.provisioner.domain.names import asg_name
from services.provisioner.domain.ports import Machines, Processes
from services.provisioner.domain.stores import GroupStore, NodeStore, StackStore
from services.provisioner.operations.stack_runs import StackRunner
from shared.contracts.activities import SweepReport
from shared.domain.clock import Clock

NODE_KEPT = timedelta(hours=1)  # a machine that AWS no longer lists is forgotten after so long


class Sweeping:
    """Ends runs without a living process, forgets machines that are gone, names groups that nobody declares."""

    def __init__(  # noqa: PLR0913  what may be left behind
        self,
        groups: GroupStore,
        nodes: NodeStore,
        stacks: StackStore,
        machines: Machines,
        processes: Processes,
        runner: StackRunner,
        clock: Clock,
    ) -> None:
        """One for the whole service."""
        self._groups = groups
        self._nodes = nodes
        self._stacks = stacks
        self._machines = machines
        self._processes = processes
        self._runner = runner
        self._clock = clock

    async def sweep(self) -> SweepReport:
        """One pass."""
        ended: list[str] = []
        notes: list[str] = []
        for run in await self._stacks.running():
            if run.id in self._runner.active:
                continue
            living = [p.pid for p in run.processes if self._processes.alive(p)]
            if living:
                notes.append(f"stack {run.stack}: process {living[0]} runs without a holder; the next holder ends it")
                continue
            await self._stacks.close(run.id, "crashed", "its process is gone", self._clock.now())
            ended.append(f"run {run.id} of stack {run.stack}")
        inventory = await self._machines.inventory()
        groups = await self._groups.all()
        known = {asg_name(g.intent.workspace, f.id) for g in groups for f in g.fleets}
        notes += [
            f"autoscaling group {f.asg}: no group declares it; remove it by hand if nobody needs it"
            for f in inventory.fleets
            if f.asg not in known
        ]
        live = {m.id for f in inventory.fleets for m in f.machines}
        oldest = self._clock.now() - NODE_KEPT
        gone = [m for m, at in (await self._nodes.all()).items() if m not in live and at < oldest]
        if gone:
            await self._nodes.forget(gone)
            ended += [f"machine {m}" for m in gone]
        copies = tuple(dict.fromkeys(g.intent.copy_of for g in groups if g.intent.copy_of))
        return SweepReport(ended=tuple(ended), notes=tuple(notes), copies=copies)
