"""Pulumi's command under supervision: its own session, a deadline, a bounded buffer, and a polite end.

The library's own `run` keeps no handle on the child, has no deadline, and a signal to our process group reaches the
child and tears it down half way. Here a child is a session leader; to cancel it gets SIGINT (steps in flight finish,
the state is written), and only when it does not listen SIGKILL. Secrets of ours are not in its environment.
"""

import collections
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi.automation import CommandResult, PulumiCommand
from pulumi.automation.errors import create_command_error

from services.provisioner.adapters.processes import mark_of
from services.provisioner.domain.runs import ProcessMark
from shared.domain.errors import Unavailable

OUTPUT_LINES_MAX = 20_000  # state of a stack of ours is far smaller; a flood is cut at its head
INTERRUPT_S = 60.0  # after SIGINT: an API call in flight may take so long
POLL_S = 0.2
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
PASSED_ON_PREFIXES = ("AWS_", "PULUMI_DEBUG_PROVIDERS")


class CommandRun:
    """What one run of ours allows its processes; `cancel` may come from any thread."""

    def __init__(self, deadline_s: float, on_process: Callable[[ProcessMark], None]) -> None:
        """The deadline counts from now, over all processes of the run."""
        self.ends_at = time.monotonic() + deadline_s
        self.on_process = on_process
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        """End the process that runs now; no further one starts."""
        self.cancelled.set()

    @property
    def over(self) -> bool:
        """Whether it must end."""
        return self.cancelled.is_set() or time.monotonic() > self.ends_at


class SupervisedCommand(PulumiCommand):
    """One for the whole process; each thread runs under its own `CommandRun`."""

    def __init__(self, root: str) -> None:
        """`root` is the directory with `bin/pulumi`."""
        super().__init__(root=root)
        self._local = threading.local()

    @contextmanager
    def under(self, run: CommandRun) -> Any:
        """Commands of this thread run under `run` inside the block."""
        self._local.run = run
        try:
            yield
        finally:
            self._local.run = None

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Callable[[str], Any] | None = None,
        on_error: Callable[[str], Any] | None = None,
    ) -> CommandResult:
        """Run one command; errors are Pulumi's own, or Unavailable when it was ended by us."""
        run: CommandRun | None = getattr(self._local, "run", None)
        if run is None:
            run = CommandRun(INTERRUPT_S, lambda _: None)
        if run.over:
            raise _ended(run, args)
        before_separator = args[: args.index("--")] if "--" in args else args
        if "--non-interactive" not in before_separator:
            args.insert(0, "--non-interactive")
        with subprocess.Popen(
            [self.command, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=_environment(self.command, additional_env),
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                run.on_process(mark_of(process.pid))
                out, err = _Reader(process.stdout, on_output), _Reader(process.stderr, on_error)
                _wait(process, run)
                code = process.returncode
            finally:
                if process.poll() is None:
                    process.kill()
            result = CommandResult(stdout=out.text(), stderr=err.text(), code=code)
        if code != 0:
            if run.over:
                raise _ended(run, args)
            raise create_command_error(result)
        return result


class _Reader:
    """Reads a pipe to its end in a thread."""

    def __init__(self, stream: Any, on_line: Callable[[str], Any] | None) -> None:
        self._lines: collections.deque[str] = collections.deque(maxlen=OUTPUT_LINES_MAX)
        self._thread = threading.Thread(target=self._read, args=(stream, on_line), name="pulumi-output", daemon=True)
        self._thread.start()

    def _read(self, stream: Any, on_line: Callable[[str], Any] | None) -> None:
        for line in iter(stream.readline, ""):
            stripped = line.rstrip()
            if on_line:
                on_line(stripped)
            self._lines.append(stripped)
        stream.close()

    def text(self) -> str:
        self._thread.join(timeout=INTERRUPT_S)
        return "\n".join(self._lines)


def _wait(process: "subprocess.Popen[str]", run: CommandRun) -> None:
    while process.poll() is None:
        if run.over:
            _end(process)
            return
        try:
            process.wait(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            continue


def _end(process: "subprocess.Popen[str]") -> None:
    for sig in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(sig)
        try:
            process.wait(timeout=INTERRUPT_S)
        except subprocess.TimeoutExpired:
            continue


def _ended(run: CommandRun, args: list[str]) -> Unavailable:
    verb = next((a for a in args if not a.startswith("-")), "command")
    why = "cancelled" if run.cancelled.is_set() else "out of time"
    return Unavailable(f"pulumi {verb}: {why}", remedy="its state was written; it is run again", retry_after_s=5.0)


def _environment(command: str, additional: Mapping[str, str]) -> dict[str, str]:
    passed = {
        k: v
        for k, v in os.environ.items()
        if k in PASSED_ON or k.lower() in {"http_proxy", "https_proxy", "no_proxy"} or k.startswith(PASSED_ON_PREFIXES)
    }
    path = f"{Path(command).parent}{os.pathsep}{passed.get('PATH', '')}"
    return {**passed, **additional, "PATH": path, "PULUMI_AUTOMATION_API": "true"}
