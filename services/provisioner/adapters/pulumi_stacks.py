"""Pulumi's engine over its Automation API: one private work directory and home per stack, at most two updates at once.

Runs happen in threads of a small pool of their own; the program is a function of this process, so there is no
checkout and no language host. A stack that is locked is an answer (`StackBusy`), because only the run table knows
whether its holder lives.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pulumi.automation as auto
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, StackNotFoundError
from pulumi.automation.events import OpType

from services.provisioner.adapters.aws_names import find_by_name
from services.provisioner.adapters.program_loops import ProgramLoops
from services.provisioner.adapters.pulumi_command import CommandRun, SupervisedCommand
from services.provisioner.adapters.pulumi_live import aws_fields, resource_of_urn
from services.provisioner.adapters.pulumi_site import PulumiSite
from services.provisioner.domain.ports import OnProcess
from services.provisioner.domain.resources import StackPlan
from services.provisioner.domain.runs import ProcessMark, StackBusy, StackDifference, StackOutcome
from shared.domain.errors import Defect, HeadraceError, InvalidInput, Throttled, Unavailable

PROJECT = "headrace"
UPDATES_CONCURRENT_MAX = 2
PREVIEWS_CONCURRENT_MAX = 1
RUN_S_MAX = 900.0
PREVIEW_S_MAX = 120.0
NOTE_PROCESS_S_MAX = 10.0
PARALLEL = 10  # resources of one stack at once
TEXT_LENGTH_MAX = 1500
LOCKED = re.compile(r"created by (?P<user>\S+?)@(?P<host>\S+?) \(pid (?P<pid>\d+)\)")
Result = TypeVar("Result")


class PulumiStacks:
    """`Stacks`."""

    def __init__(self, site: PulumiSite) -> None:
        """The command is looked at once, at the first run."""
        self._site = site
        self._command: SupervisedCommand | None = None
        self._program: Callable[[StackPlan], Callable[[], None]] = _not_loaded
        self._loading = threading.Lock()
        self._updates = ThreadPoolExecutor(UPDATES_CONCURRENT_MAX, thread_name_prefix="pulumi-update")
        self._previews = ThreadPoolExecutor(PREVIEWS_CONCURRENT_MAX, thread_name_prefix="pulumi-preview")

    def close(self) -> None:
        """Let no further run begin."""
        self._updates.shutdown(wait=False, cancel_futures=True)
        self._previews.shutdown(wait=False, cancel_futures=True)

    async def up(self, plan: StackPlan, on_process: OnProcess, *, refresh: bool) -> StackOutcome | StackBusy:
        """Make the world as planned."""

        def act(loops: ProgramLoops) -> StackOutcome | StackBusy:
            began = time.monotonic()
            stack = self._stack(plan, loops)
            try:
                done = stack.up(
                    refresh=refresh or None, parallel=PARALLEL, suppress_outputs=True, suppress_progress=True
                )
            except ConcurrentUpdateError as e:
                return _busy(str(e))
            return _outcome(done.summary.resource_changes, time.monotonic() - began)

        return await self._in_thread(self._updates, plan, act, on_process, RUN_S_MAX)

    async def destroy(self, plan: StackPlan, on_process: OnProcess) -> StackOutcome | StackBusy:
        """Remove everything and the stack; one that is not there is done."""

        def act(loops: ProgramLoops) -> StackOutcome | StackBusy:
            began = time.monotonic()
            try:
                stack = self._stack(plan, loops, create=False)
                done = stack.destroy(parallel=PARALLEL, suppress_outputs=True, suppress_progress=True, remove=True)
            except StackNotFoundError:
                return StackOutcome()
            except ConcurrentUpdateError as e:
                return _busy(str(e))
            return _outcome(done.summary.resource_changes, time.monotonic() - began)

        return await self._in_thread(self._updates, plan, act, on_process, RUN_S_MAX)

    async def differences(self, plan: StackPlan) -> tuple[StackDifference, ...]:
        """The engine's refresh as a preview: it takes no lock and writes nothing."""

        def act(loops: ProgramLoops) -> tuple[StackDifference, ...]:
            found: list[StackDifference] = []
            guard = threading.Lock()

            def seen(event: Any) -> None:
                if event.res_outputs_event is None:
                    return
                difference = _difference(event.res_outputs_event.metadata)
                if difference:
                    with guard:
                        found.append(difference)

            try:
                stack = self._stack(plan, loops, create=False)
            except StackNotFoundError:
                return ()
            stack.preview_refresh(on_event=seen, suppress_outputs=True, suppress_progress=True)
            return tuple(sorted(found, key=lambda d: d.resource))

        return await self._in_thread(self._previews, plan, act, None, PREVIEW_S_MAX)

    async def recover(self, plan: StackPlan, dead: Sequence[ProcessMark]) -> str:
        """Break a dead holder's lock, then settle what was being created when it died."""

        def act(loops: ProgramLoops) -> str:
            try:
                stack = self._stack(plan, loops, create=False)
            except StackNotFoundError:
                return "the stack was not made yet"
            notes = []
            lock = self._lock_of(plan)
            if lock and any((lock.host, lock.pid) == (d.host, d.pid) for d in dead):
                stack.cancel()
                notes.append(f"broke the lock of dead process {lock.pid}")
            notes.append(self._settle(stack))
            return "; ".join(filter(None, notes))

        return await self._in_thread(self._updates, plan, act, None, PREVIEW_S_MAX)

    def _lock_of(self, plan: StackPlan) -> StackBusy | None:
        """The lock as its file says; for other backends the next update tells."""
        if not self._site.folder:
            return None
        locks = self._site.folder / f".pulumi/locks/organization/{PROJECT}/{plan.stack}"
        for file in sorted(locks.glob("*.json")):
            body = json.loads(file.read_text(encoding="utf-8"))
            return StackBusy(host=body["hostname"], pid=int(body["pid"]), text=file.name)
        return None

    def _settle(self, stack: auto.Stack) -> str:
        """Adopt what exists under our name, forget what does not.

        The state is edited as the engine itself would have written it one moment later: the resource with the id that its
        name leads to. A refresh of just these then reads them. (`refresh --import-pending-creates` drops them, in 3.259.)
        """
        state = stack.export_stack()
        document = dict(state.deployment or {})
        pending = [p for p in document.get("pending_operations") or [] if p.get("type") == "creating"]
        if not pending:
            return ""
        adopted = []
        for operation in pending:
            resource = operation["resource"]
            identity = find_by_name(resource["type"], resource.get("inputs") or {})
            if identity is not None:
                outputs = {**(resource.get("inputs") or {}), "id": identity}
                adopted.append({**resource, "id": identity, "outputs": outputs})
        document["resources"] = [*document.get("resources", []), *adopted]
        document["pending_operations"] = [p for p in document["pending_operations"] if p not in pending]
        stack.import_stack(auto.Deployment(version=state.version, deployment=document))
        if adopted:
            stack.refresh(target=[r["urn"] for r in adopted], suppress_outputs=True, suppress_progress=True)
        return f"adopted {len(adopted)} and cleared {len(pending) - len(adopted)} half-made resources"

    def _stack(self, plan: StackPlan, loops: ProgramLoops, *, create: bool = True) -> auto.Stack:
        work, home = self._site.directory / "work" / plan.stack, self._site.directory / "home" / plan.stack
        for folder in (work, home):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        plugins = home / "plugins"
        if self._site.plugins and not plugins.exists():
            plugins.symlink_to(self._site.plugins)
        if self._site.folder:
            self._site.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = auto.LocalWorkspaceOptions(
            work_dir=str(work),
            pulumi_home=str(home),
            pulumi_command=self._command,
            env_vars={
                "PULUMI_BACKEND_URL": self._site.url,
                "PULUMI_CONFIG_PASSPHRASE": self._site.passphrase,
                "PULUMI_SKIP_UPDATE_CHECK": "true",
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "PULUMI_DISABLE_REGISTRY_RESOLVE": "true",
            },
            project_settings=auto.ProjectSettings(name=PROJECT, runtime="python"),
        )
        make = auto.create_or_select_stack if create else auto.select_stack
        program = loops.noted(self._program(plan))
        return make(stack_name=plan.stack, project_name=PROJECT, program=program, opts=options)

    def _loaded(self) -> SupervisedCommand:
        """The command and the program's module, each once: the provider's modules must not be loaded by two threads."""
        with self._loading:
            if self._command is None:
                from services.provisioner.adapters.pulumi_program import program  # late: 0.7 s and 80 MB

                self._program = program
                self._command = SupervisedCommand(str(self._site.root))
            return self._command

    async def _in_thread(
        self,
        pool: ThreadPoolExecutor,
        plan: StackPlan,
        act: Callable[[ProgramLoops], Result],
        on_process: OnProcess | None,
        deadline_s: float,
    ) -> Result:
        loop = asyncio.get_running_loop()

        def note(process: ProcessMark) -> None:
            if on_process:
                asyncio.run_coroutine_threadsafe(_awaited(on_process, process), loop).result(NOTE_PROCESS_S_MAX)

        run = CommandRun(deadline_s, note)

        def work() -> Result:
            loops = ProgramLoops()
            with self._loaded().under(run):
                try:
                    return act(loops)
                except CommandError as e:
                    raise _explained(plan, e) from e
                finally:
                    loops.close()

        future = loop.run_in_executor(pool, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            run.cancel()
            await asyncio.gather(future, return_exceptions=True)
            raise


def _not_loaded(plan: StackPlan) -> Callable[[], None]:
    raise Defect(f"stack {plan.stack}: Pulumi was not loaded")


async def _awaited(on_process: OnProcess, process: ProcessMark) -> None:
    await on_process(process)


def _busy(text: str) -> StackBusy:
    match = LOCKED.search(text)
    return StackBusy(match["host"] if match else "", int(match["pid"]) if match else 0, _tail(text))


def _outcome(changes: Mapping[Any, int] | None, seconds: float) -> StackOutcome:
    counts = {str(getattr(k, "value", k)): n for k, n in (changes or {}).items()}
    return StackOutcome(
        created=counts.get("create", 0),
        updated=counts.get("update", 0) + counts.get("replace", 0),
        deleted=counts.get("delete", 0),
        unchanged=counts.get("same", 0),
        seconds=round(seconds, 2),
    )


def _difference(metadata: Any) -> StackDifference | None:
    resource = resource_of_urn(metadata.urn, metadata)
    if resource is None or metadata.op in (OpType.SAME, OpType.READ):
        return None
    if metadata.op == OpType.DELETE:
        return StackDifference(resource, gone=True)
    fields = aws_fields(metadata)
    return StackDifference(resource, fields=fields) if fields else None


def _explained(plan: StackPlan, failure: CommandError) -> HeadraceError:
    text = _tail(str(failure))
    lowered = text.lower()
    if "throttl" in lowered or "requestlimitexceeded" in lowered:
        return Throttled(f"stack {plan.stack}: AWS throttles: {text}", retry_after_s=10.0)
    if "validationerror" in lowered or "invalidparameter" in lowered:
        return InvalidInput(f"stack {plan.stack}: AWS refused what was declared: {text}")
    return Unavailable(f"stack {plan.stack}: Pulumi failed: {text}", retry_after_s=5.0)


def _tail(text: str) -> str:
    return text.strip()[-TEXT_LENGTH_MAX:]
