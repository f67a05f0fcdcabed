"""What the demo looks at: the admin API as a client sees it, AWS through boto3, the far receiver, the process table."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx

from localcloud.process import memory_mb
from localcloud.state import DIRECTORY, StackState
from localcloud.status import Status, read_status
from tools.demo.waiting import wait_for
from tools.setup.step import ROOT

RECEIVER_PORT = 19400
RECEIVER_START_S = 10.0
TIMEOUT_S = 10.0


class Api:
    """Reads from the admin API."""

    def __init__(self) -> None:
        """The address and the token are those that `headrace up` left for clients of this folder."""
        state = StackState.open(DIRECTORY)
        token = state.admin_token_file.read_text().strip()
        self._http = httpx.Client(
            base_url=f"http://{state.address('admin_api')}",
            headers={"authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    def get(self, path: str, **query: str | float) -> Any:
        """A document; {} when the answer is not a success."""
        answer = self._http.get(path, params=query)
        return answer.json() if answer.is_success else {}

    def items(self, path: str, **query: str | float) -> list[dict[str, Any]]:
        """The items of a list."""
        found = self.get(path, **query)
        return list(found.get("items", [])) if isinstance(found, dict) else list(found)


class Aws:
    """What AWS says of a group's fleets, asked by boto3 as anybody could."""

    def __init__(self, environment: dict[str, str]) -> None:
        """`environment`: endpoint and keys of a person with rights."""
        self._client = boto3.client(
            "autoscaling",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    def fleets(self, group: str) -> dict[str, dict[str, Any]]:
        """Auto Scaling Groups of a server group, by fleet."""
        filters = [{"Name": "tag:headrace:group", "Values": [group]}]
        found = self._client.describe_auto_scaling_groups(Filters=filters)["AutoScalingGroups"]
        return {next(t["Value"] for t in g["Tags"] if t["Key"] == "headrace:fleet"): g for g in found}

    def in_service(self, group: str) -> dict[str, int]:
        """Nodes in service by fleet."""
        return {
            fleet: sum(i["LifecycleState"] == "InService" for i in g["Instances"])
            for fleet, g in self.fleets(group).items()
        }

    def raise_maximum(self, asg: str, to: int) -> None:
        """What somebody does by hand."""
        self._client.update_auto_scaling_group(AutoScalingGroupName=asg, MaxSize=to)

    def activities(self, asg: str) -> list[dict[str, Any]]:
        """Scaling activities of a group."""
        return list(self._client.describe_scaling_activities(AutoScalingGroupName=asg)["Activities"])


@dataclass(slots=True)
class Receiver:
    """The far end, in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str

    @classmethod
    def start(cls) -> "Receiver":
        """Start it and wait until it answers."""
        script = ROOT / "examples" / "flights" / "traffic" / "receiver.py"
        process = subprocess.Popen([sys.executable, str(script), "--port", str(RECEIVER_PORT)])
        receiver = cls(process, f"http://127.0.0.1:{RECEIVER_PORT}")
        if wait_for(receiver.answers, RECEIVER_START_S) is None:
            process.kill()
            raise RuntimeError(f"the receiver does not answer on port {RECEIVER_PORT}: is the port in use?")
        return receiver

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return httpx.get(f"{self.url}/stats", timeout=1, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def stats(self, since: float = 0.0) -> dict[str, Any]:
        """Numbers over arrivals since an instant."""
        found: dict[str, Any] = httpx.get(
            f"{self.url}/stats", params={"since": since}, timeout=30, trust_env=False
        ).json()
        return found

    def ids(self) -> set[str]:
        """Every id that has arrived."""
        text = httpx.get(f"{self.url}/ids", timeout=60, trust_env=False).text
        return set(text.split("\n")) if text else set()

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=10)


def stack_status() -> Status:
    """What the supervisor last saw."""
    status = read_status(DIRECTORY)
    if status is None:
        raise RuntimeError("the stack does not run")
    return status


def resident_mb() -> float:
    """Of the stack with all its machines."""
    return memory_mb(stack_status().pid)


def part_pid(name: str) -> int | None:
    """The process of one part of the stack."""
    return next((part.pid for part in stack_status().parts if part.name == name), None)


def kill_part(name: str) -> int:
    """`kill -9` of one part, by its id; gives the id."""
    pid = part_pid(name)
    if pid is None:
        raise RuntimeError(f"{name} does not run")
    os.kill(pid, signal.SIGKILL)
    return pid


FLIGHTS_TABLE = Path(ROOT / ".tools" / "flights" / "flights.csv.zip")
