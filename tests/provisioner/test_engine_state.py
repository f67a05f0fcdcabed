"""The engine's state in files, killed -9 while it is written: it is there and can be read, as it was before or after.

The engine copies the state to `.bak` and replaces it by a rename. Another version of it might not.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.provisioner.adapters.pulumi_command import SupervisedCommand
from services.provisioner.adapters.pulumi_site import PulumiSite

ROOT = Path(__file__).resolve().parents[2]
PADDING = 8_000_000  # bytes: writing them takes long enough to be seen
TRIES_MAX = 40
RUN_S_MAX = 120.0
Seen = Callable[[list[str]], bool]


def writes_backup(names: list[str]) -> bool:
    return any(".bak." in n and n.endswith(".tmp") for n in names)


def writes_state(names: list[str]) -> bool:
    return any(".bak." not in n and n.endswith(".tmp") for n in names)


class Engine:
    """Pulumi's command on a folder of its own, with one stack."""

    def __init__(self, directory: Path) -> None:
        self.site = PulumiSite(ROOT / ".tools", f"file://{directory}/state", "test", directory)
        self.work, home = directory / "work", directory / "home"
        for folder in (directory / "state", self.work, home):
            folder.mkdir()
        (self.work / "Pulumi.yaml").write_text("name: headrace\nruntime: python\n")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": self.site.url,
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        self.command = SupervisedCommand(str(self.site.root))
        self.run("stack", "init", "s")
        self.folder = directory / "state/.pulumi/stacks/headrace"
        self.state = self.folder / "s.json"

    def run(self, *words: str) -> str:
        return self.command.run([*words], str(self.work), self.environment).stdout

    def state_of(self, number: int) -> Path:
        """A file with a state to take over, told from another one by its number."""
        document: dict[str, Any] = json.loads(self.run("stack", "export"))
        document["deployment"]["resources"] = [
            {
                "urn": "urn:pulumi:s::headrace::pulumi:pulumi:Stack::headrace-s",
                "custom": False,
                "type": "pulumi:pulumi:Stack",
                "outputs": {"number": number, "padding": "x" * PADDING},
            }
        ]
        file = self.work / f"{number}.json"
        file.write_text(json.dumps(document))
        return file

    def killed(self, file: Path, moment: Seen) -> bool:
        """Take the state over; kill -9 the engine when `moment` is seen in its folder. Whether it was seen in time."""
        for left in self.folder.glob("*.tmp"):
            left.unlink()
        process = subprocess.Popen(
            [self.command.command, "--non-interactive", "stack", "import", "--force", "--file", str(file)],
            cwd=self.work,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        seen = False
        while process.poll() is None and not seen:
            seen = moment([f.name for f in self.folder.iterdir()])
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(RUN_S_MAX)
        self.run("cancel", "--yes", "--stack", "s")  # its lock
        return seen


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_state_whose_writer_was_killed_is_there(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    files = [engine.state_of(0), engine.state_of(1)]
    engine.run("stack", "import", "--file", str(files[0]))
    for moment in (writes_backup, writes_state):
        tries = 0
        while not engine.killed(files[1], moment):
            tries += 1
            assert tries < TRIES_MAX, f"the engine was never seen where it {moment.__name__}"
        kept = json.loads(engine.state.read_text())["checkpoint"]["latest"]["resources"][0]["outputs"]
        assert (kept["number"] in (0, 1), len(kept["padding"])) == (True, PADDING)
        assert json.loads(engine.run("stack", "export"))["deployment"]["resources"][0]["outputs"] == kept
