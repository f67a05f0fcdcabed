"""The least that a node needs around it: the embedded AWS with machines as processes, a bundle, and a control plane.

The control plane is real on the wire (gRPC, server TLS to join, mutual TLS for the rest) and small inside: it signs,
hands out the orders that a test sets, and keeps the audits it is sent.
"""

import gzip
import hashlib
import io
import json
import queue
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import grpc
import headrace_runtime
from headraceapi.observer.v1 import observer_pb2, observer_pb2_grpc
from headraceapi.provisioner.v1 import provisioner_pb2, provisioner_pb2_grpc

from localcloud.certificates import DevelopmentAuthority
from services.provisioner.adapters.authority import FileAuthority
from shared.contracts.node import Assignment, Routes
from tests.dataplane.streams import wait_until

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("grpc", "grpc_health", "grpc_reflection", "google", "typing_extensions.py")
TOKEN = "the-fleets-token"
READY_S = 120.0


class Watchers:
    """Hands orders to every open stream."""

    def __init__(self) -> None:
        self.queues: list[queue.SimpleQueue[provisioner_pb2.WatchRoutesResponse | None]] = []
        self.orders: tuple[Assignment, Routes] | None = None
        self.called: dict[str, Routes] = {}  # of transform groups that nodes call

    def tell(self, assignment: Assignment, routes: Routes) -> None:
        self.orders = (assignment, routes)
        for waiting in self.queues:
            waiting.put(self.change())

    def change(self) -> provisioner_pb2.WatchRoutesResponse:
        assert self.orders
        assignment, routes = self.orders
        return provisioner_pb2.WatchRoutesResponse(
            routes_json=routes.model_dump_json(), assignment_json=assignment.model_dump_json()
        )


class ControlPlane(
    provisioner_pb2_grpc.JoinServiceServicer,
    provisioner_pb2_grpc.ProvisionerServiceServicer,
    observer_pb2_grpc.ObserverServiceServicer,
):
    """Provisioner and Observer of one group."""

    def __init__(self, directory: Path) -> None:
        self.authority = authority = DevelopmentAuthority(directory, "test")
        self._signer = FileAuthority(authority.files.certificate, authority.files.key)
        self._tls = authority.service("provisioner")
        self.ca_pem = authority.files.certificate.read_text()
        self.watchers = Watchers()
        self.joined: list[str] = []
        self.audits: list[Any] = []
        self._server: grpc.Server | None = None
        self.join_address = self.address = ""

    def start(self, ports: tuple[int, int] = (0, 0)) -> None:
        self._server = server = grpc.server(futures.ThreadPoolExecutor(16))
        provisioner_pb2_grpc.add_JoinServiceServicer_to_server(self, server)
        provisioner_pb2_grpc.add_ProvisionerServiceServicer_to_server(self, server)
        observer_pb2_grpc.add_ObserverServiceServicer_to_server(self, server)
        cert, key, ca = ((self._tls / n).read_bytes() for n in ("cert.pem", "key.pem", "ca.pem"))
        joining = server.add_secure_port(f"127.0.0.1:{ports[0]}", grpc.ssl_server_credentials([(key, cert)]))
        mutual = grpc.ssl_server_credentials([(key, cert)], ca, require_client_auth=True)
        others = server.add_secure_port(f"127.0.0.1:{ports[1]}", mutual)
        self.join_address, self.address = f"127.0.0.1:{joining}", f"127.0.0.1:{others}"
        self.ports = (joining, others)
        server.start()

    def channel(self, address: str, *, stranger: bool = False) -> grpc.Channel:
        """To a node, with a service's certificate; a stranger's is of another authority."""
        tls = DevelopmentAuthority(self._tls.parent / "other", "test").service("x") if stranger else self._tls
        cert, key = ((tls / n).read_bytes() for n in ("cert.pem", "key.pem"))
        credentials = grpc.ssl_channel_credentials(self.ca_pem.encode(), key, cert)
        return grpc.secure_channel(address, credentials, (("grpc.ssl_target_name_override", "localhost"),))

    def stop(self) -> None:
        for waiting in self.watchers.queues:
            waiting.put(None)
        if self._server:
            self._server.stop(0).wait()

    def Join(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.token != TOKEN or self.watchers.orders is None:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "not with this token")
        uri = f"spiffe://test/workspace/default/group/{request.group}/node/{request.instance_id}"
        self.joined.append(request.instance_id)
        change = self.watchers.change()
        return provisioner_pb2.JoinResponse(
            certificate_pem=self._signer.sign(request.csr_pem, uri, "", datetime.now(UTC)),
            assignment_json=change.assignment_json,
            routes_json=change.routes_json,
        )

    def WatchRoutes(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        if request.group in self.watchers.called:
            context.add_callback(lambda: waiting.put(None))
            routes_json = self.watchers.called[request.group].model_dump_json()
            yield provisioner_pb2.WatchRoutesResponse(routes_json=routes_json)
            waiting.get()
            return
        self.watchers.queues.append(waiting)
        context.add_callback(lambda: waiting.put(None))
        yield self.watchers.change()
        while (change := waiting.get()) is not None:
            yield change

    def ReportAudit(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        reports = list(request_iterator)
        self.audits += reports
        return observer_pb2.ReportAuditResponse(accepted=len(reports))


@dataclass(slots=True)
class Front:
    """The embedded AWS as a process, machines as processes."""

    directory: Path
    process: "subprocess.Popen[str]" = field(init=False)
    endpoint: str = field(init=False)

    def __post_init__(self) -> None:
        command = [sys.executable, "-m", "localcloud.aws", "--port", "0", "--machines", "process", "--iam", "roles"]
        self.process = subprocess.Popen(
            [*command, "--state", str(self.directory / "aws.state")], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        self.endpoint = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1", **keys)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.endpoint}/_localcloud/{path}", timeout=30) as answer:
            return json.load(answer)

    def consoles(self) -> str:
        return "\n".join(p.read_text() for p in self.directory.rglob("console.log"))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        if self.process.stdout:
            self.process.stdout.close()


def packed(folder: Path) -> bytes:
    """A folder's content as tar.gz."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path in sorted(folder.rglob("*.py")):
            tar.add(path, str(path.relative_to(folder)))
    return out.getvalue()


def environment_bundle() -> bytes:
    """What an environment with only `headrace-runtime` holds, taken from this one."""
    here = Path(grpc.__file__).parents[1]
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name in PACKAGES:
            tar.add(here / name, f"site/{name}", filter=lambda m: None if "__pycache__" in m.name else m)
        runtime = Path(headrace_runtime.__file__).parent
        tar.add(runtime, "site/headrace_runtime", filter=lambda m: None if "__pycache__" in m.name else m)
    return out.getvalue()


def put_object(front: Front, key: str, body: bytes) -> dict[str, Any]:
    """Into the bundle store; the artifact."""
    s3 = front.client("s3")
    s3.create_bucket(Bucket="bundles")
    s3.put_object(Bucket="bundles", Key=key, Body=body)
    return {"url": f"s3://bundles/{key}", "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}


def node_policy(user_data: Mapping[str, Any], fleet: str) -> dict[str, Any]:
    """What the Provisioner lets a machine do, with this fleet's names; nothing else is allowed to its agent here."""
    token = str(user_data["control"]["join_token_ref"]).lstrip("/")
    hooks = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
    own = f"arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/default-{fleet}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::bundles/*"]},
            {"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": [f"arn:aws:ssm:*:*:parameter/{token}"]},
            {"Effect": "Allow", "Action": hooks, "Resource": [own]},
        ],
    }


def launch(front: Front, user_data: Mapping[str, Any], nodes: int) -> str:
    """A fleet with hooks and a role, as the Provisioner makes it; its ASG's name."""
    import base64

    fleet = str(user_data["fleet"])
    ssm, iam, ec2, asg = (front.client(s) for s in ("ssm", "iam", "ec2", "autoscaling"))
    ssm.put_parameter(Name=str(user_data["control"]["join_token_ref"]), Value=TOKEN, Type="SecureString")
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    iam.create_role(RoleName=fleet, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=fleet, PolicyName="node", PolicyDocument=json.dumps(node_policy(user_data, fleet)))
    iam.create_instance_profile(InstanceProfileName=fleet)
    iam.add_role_to_instance_profile(InstanceProfileName=fleet, RoleName=fleet)
    ec2.create_launch_template(
        LaunchTemplateName=fleet,
        LaunchTemplateData={
            "ImageId": "ami-headrace",
            "InstanceType": "m6a.large",
            "IamInstanceProfile": {"Name": fleet},
            "MetadataOptions": {"HttpTokens": "required"},
            "UserData": base64.b64encode(json.dumps(user_data).encode()).decode(),
        },
    )
    name = f"default-{fleet}"
    hooks = [("headrace-launching", "LAUNCHING", "ABANDON"), ("headrace-terminating", "TERMINATING", "CONTINUE")]
    asg.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=4,
        DesiredCapacity=nodes,
        AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateName": fleet, "Version": "$Latest"},
        LifecycleHookSpecificationList=[
            {
                "LifecycleHookName": hook,
                "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
                "HeartbeatTimeout": 60,
                "DefaultResult": result,
            }
            for hook, transition, result in hooks
        ],
    )
    return name


def states(front: Front, asg: str) -> list[str]:
    """The life-cycle states of a fleet's instances."""
    found = front.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[asg])
    return [i["LifecycleState"] for i in found["AutoScalingGroups"][0]["Instances"]]


def in_service(front: Front, asg: str, count: int) -> list[str]:
    """Addresses of the machines, once `count` are in service."""
    try:
        wait_until(lambda: states(front, asg) == ["InService"] * count, f"{count} in service", READY_S)
    except AssertionError as e:
        raise AssertionError(f"{e}\n{front.consoles()[-4000:]}") from e
    return [m["address"] for m in front.get("machines")]


def health(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{address}:7401/health", timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def metrics(address: str) -> list[str]:
    with urllib.request.urlopen(f"http://{address}:7401/metrics", timeout=30) as answer:
        return str(answer.read().decode()).splitlines()
