"""The `headrace` command as a user types it."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.setup.step import ROOT

HEADRACE = Path(sys.executable).parent / "headrace"
TIMEOUT_S = 120.0
LATE = 124  # as `timeout` answers


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON; {} when it is none."""
        try:
            return json.loads(self.out)
        except ValueError:
            return {}

    @property
    def text(self) -> str:
        """Both outputs, for people."""
        return "\n".join(part.strip() for part in (self.out, self.err) if part.strip())


def headrace(*words: str, timeout_s: float = TIMEOUT_S) -> Answer:
    """Run it and wait; an answer with code `LATE` when it does not end in time."""
    try:
        done = subprocess.run(
            [str(HEADRACE), *words], cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as late:
        said = late.stdout.decode() if isinstance(late.stdout, bytes) else ""
        return Answer(LATE, said, f"headrace {' '.join(words)}: not done after {timeout_s:.0f} s")
    return Answer(done.returncode, done.stdout, done.stderr)


def start_headrace(words: Sequence[str], log: Path) -> subprocess.Popen[str]:
    """Run it in the background; its output goes to `log`."""
    with log.open("w") as sink:
        return subprocess.Popen([str(HEADRACE), *words], cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT, text=True)
