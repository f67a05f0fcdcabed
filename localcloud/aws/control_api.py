"""What is asked of the stand-in itself, over HTTP below /_localcloud/: machines, faults, scrape targets, health.

GET    health
GET    machines                       id, group, state, address, pid, console
GET    machines/ID/console            what it has said last
POST   machines/ID/ACTION             crash | stop | hang | wake
POST   machines/ID/rebalance          EC2 recommends to replace it (spot capacity may be wanted back)
POST   machines/ID/interrupt          {"seconds"}: EC2 takes a spot machine after two minutes, or so many seconds
GET    prometheus-targets             discovery document of the running machines
GET    network/reachable              ?source=ID|internet&target=ID&port=N[&protocol=tcp|udp][&ip=6]: yes, why
GET    network/internet               ?subnet=ID[&public=false][&ip=6]: whether it can be reached from there, why
GET    faults                         those that have not ended
POST   faults                         {"kind", "seconds", ...}: see fault_kinds.py
DELETE faults, faults/ID              end all, or one
"""

import json
import re
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl

from localcloud.aws.autoscaling.records import Group, Member
from localcloud.aws.cloud import Cloud
from localcloud.aws.errors import AwsError
from localcloud.aws.machine_processes import ProcessMachines
from localcloud.aws.machines import Ailment, Power
from localcloud.aws.network.reach import Verdict

PREFIX = "/_localcloud/"
METRICS_PORT = 7401
CONSOLE_BYTES_SHOWN = 64 * 1024
JSON, TEXT = "application/json", "text/plain; charset=utf-8"
INTERRUPT, REBALANCE = "interrupt", "rebalance"
DEEDS = ("crash", "stop", "hang", "wake", INTERRUPT, REBALANCE)


@dataclass(slots=True, frozen=True)
class Answer:
    """What is answered."""

    status: int
    body: str
    content_type: str = JSON


class ControlApi:
    """Answers for a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        """`cloud` is asked and told."""
        self._cloud = cloud

    def reply(self, method: str, path: str, body: bytes, query: str = "") -> Answer:
        """Answer one request; what is wrong with it is said in `error`."""
        try:
            parts = path.removeprefix(PREFIX).strip("/").split("/")
            if (method, parts[0]) == ("GET", "network"):
                return as_json(asdict(self._network(parts[1:], dict(parse_qsl(query)))))
            return self._route(method, parts, body)
        except AwsError as error:
            return Answer(error.status, json.dumps({"error": error.message}))
        except ValueError as error:
            return Answer(400, json.dumps({"error": f"The request is not understood: {error}"}))

    def _route(self, method: str, parts: list[str], body: bytes) -> Answer:
        found: object = {}
        match (method, *parts):
            case ("GET", "health"):
                found = {"status": "ok", "groups": len(self._cloud.world.groups)}
            case ("GET", "machines"):
                found = self.machines()
            case ("GET", "machines", instance_id, "console"):
                return self._console(instance_id)
            case ("POST", "machines", instance_id, deed) if deed in DEEDS:
                self._do(deed, instance_id, body)
            case ("GET", "prometheus-targets"):
                found = self.targets()
            case ("GET", "faults"):
                found = self._cloud.faults.listing()
            case ("POST", "faults"):
                found = {"id": self._cloud.trouble.inject(an_object(body)).id}
            case ("DELETE", "faults", *rest):
                self._cloud.trouble.clear(rest[0] if rest else None)
            case _:
                return Answer(404, json.dumps({"error": f"There is no {method} {PREFIX}{'/'.join(parts)}"}))
        return as_json(found)

    def _network(self, parts: list[str], asked: dict[str, str]) -> Verdict:
        match parts:
            case ["reachable"]:
                port, protocol = int(asked.get("port", "0")), asked.get("protocol", "tcp")
                source, target = asked.get("source", ""), asked.get("target", "")
                return self._cloud.network.reachable(source, target, port, protocol, int(asked.get("ip", "4")))
            case ["internet"]:
                public = asked.get("public", "true") == "true"
                version = int(asked.get("ip", "4"))
                return self._cloud.network.internet_from(asked.get("subnet", ""), public=public, version=version)
            case _:
                raise AwsError("NotFound", f"Ask {PREFIX}network/reachable or {PREFIX}network/internet", 404)

    def machines(self) -> list[dict[str, Any]]:
        """The machines that are not gone."""
        with self._cloud.lock:
            members = self._members()
        return [
            {
                "id": view.id,
                "group": members[view.id][0].name if view.id in members else None,
                "lifecycle": members[view.id][1].lifecycle.value if view.id in members else None,
                "state": view.power.value,
                "address": view.address,
                "pid": view.pid,
                **ailing(self._cloud.faults.ailment(view.id)),
            }
            for view in self._cloud.machines.listing()
        ]

    def targets(self) -> list[dict[str, Any]]:
        """A discovery document: one entry for each machine that runs, with its group and the group's tags."""
        with self._cloud.lock:
            members = self._members()
        return [
            {"targets": [f"{view.address}:{METRICS_PORT}"], "labels": labels(*members[view.id])}
            for view in self._cloud.machines.listing()
            if view.power in {Power.ON, Power.HUNG} and view.id in members
        ]

    def _members(self) -> dict[str, tuple[Group, Member]]:
        return {m.id: (g, m) for g in self._cloud.world.groups.values() for m in g.members.values()}

    def _do(self, deed: str, instance_id: str, body: bytes) -> None:
        self._known(instance_id)
        if deed == INTERRUPT:
            self._cloud.direct.interrupt(instance_id, an_object(body or b"{}"))
        if deed in {INTERRUPT, REBALANCE}:  # at the latest, EC2 recommends it together with the interruption
            self._cloud.compute.recommend(instance_id)
            self._cloud.machine_changed(instance_id)
        else:
            getattr(self._cloud.machines, deed)(instance_id)

    def _known(self, instance_id: str) -> None:
        if all(view.id != instance_id for view in self._cloud.machines.listing()):
            raise AwsError("NotFound", f"There is no machine {instance_id}: GET {PREFIX}machines lists them.", 404)

    def _console(self, instance_id: str) -> Answer:
        self._known(instance_id)
        if not isinstance(self._cloud.machines, ProcessMachines):
            return Answer(200, "", TEXT)
        console = self._cloud.machines.console(instance_id)
        content = console.read_bytes()[-CONSOLE_BYTES_SHOWN:] if console.exists() else b""
        return Answer(200, content.decode(errors="replace"), TEXT)


def ailing(ailment: Ailment) -> dict[str, float]:
    """What is wrong with a machine, in seconds; nothing when nothing is."""
    found = {"clock_offset_s": ailment.clock_offset_s, "disk_delay_s": ailment.disk_delay_s}
    return {name: value for name, value in found.items() if value}


def an_object(body: bytes) -> dict[str, Any]:
    """A body that is a JSON object; ValueError."""
    wanted = json.loads(body)
    if not isinstance(wanted, dict):
        raise ValueError("it is something else")  # noqa: TRY004  answered like any other bad body
    return wanted


def labels(group: Group, member: Member) -> dict[str, str]:
    """A target's labels; characters that a label may not have become underscores."""
    tags = {f"tag_{re.sub('[^a-zA-Z0-9_]', '_', tag.key)}": tag.value for tag in group.tags.values()}
    return {"asg": group.name, "instance_id": member.id, "zone": member.zone, **tags}


def as_json(value: object) -> Answer:
    """A good answer."""
    return Answer(200, json.dumps(value))
