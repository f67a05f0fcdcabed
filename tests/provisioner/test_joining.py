"""Machines join over real TLS: a token alone joins nothing, a key is kept, a certificate names the machine for an hour."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from headraceapi.provisioner.v1 import provisioner_pb2 as pb
from headraceapi.provisioner.v1.provisioner_pb2_grpc import JoinServiceStub, ProvisionerServiceStub

from localcloud.certificates import DevelopmentAuthority
from services.provisioner.adapters.authority import FileAuthority
from services.provisioner.adapters.join_server import JoinServer
from services.provisioner.adapters.memory import (
    MemoryFences,
    MemoryGroups,
    MemoryNodes,
    MemoryPipelines,
    MemoryRoutes,
)
from services.provisioner.grpc_api import JoinApi
from services.provisioner.operations.joining import Joining
from services.provisioner.operations.lease_guard import LeaseGuard
from services.provisioner.operations.routing import Routing
from shared.contracts.node import Assignment, KafkaAccess, Routes
from shared.grpc.identity import identity_of_uri
from shared.system import SystemClock
from tests.provisioner.cloud import DictMirror, TableMachines, members
from tests.provisioner.examples import fleet, intent

TOKEN = "right"
MACHINE = "i-10.0.0.1"


class Machine:
    """A machine with a key of its own."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def csr(self) -> str:
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        wanted = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://dev/service/observer")])
        request = builder.add_extension(wanted, critical=False).sign(self.key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def request(self, **changes: str) -> pb.JoinRequest:
        fields = {
            "token": TOKEN,
            "instance_id": MACHINE,
            "group": "delays",
            "fleet": "delays-r1",
            "csr_pem": self.csr(),
        }
        return pb.JoinRequest(**{**fields, **changes})


class Port:
    """A join port that runs, and a way to it."""

    def __init__(self, ca_pem: bytes, address: str, machines: TableMachines) -> None:
        self.ca_pem = ca_pem
        self.machines = machines
        credentials = grpc.ssl_channel_credentials(root_certificates=ca_pem)
        self.channel = grpc.aio.secure_channel(
            address, credentials, options=(("grpc.ssl_target_name_override", "localhost"),)
        )
        self.stub = JoinServiceStub(self.channel)

    async def join(self, request: pb.JoinRequest) -> pb.JoinResponse:
        answer: pb.JoinResponse = await self.stub.Join(request, timeout=60)
        return answer

    async def denied(self, request: pb.JoinRequest) -> str:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.join(request)
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
        return str(caught.value.details())


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[Port]:
    authority = DevelopmentAuthority(tmp_path / "tls", "dev")
    groups, pipelines = MemoryGroups(MemoryFences()), MemoryPipelines()
    await groups.register(intent())
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    await groups.put_fleet(replace(fleet(revision=1, weight=100), token_digest=digest))
    machines = TableMachines(members("delays", 1, "10.0.0.1"))
    clock = SystemClock()
    guard = LeaseGuard(MemoryFences(), None, clock)
    routing = Routing(groups, pipelines, MemoryRoutes(), machines, DictMirror(), guard)
    await routing.tick()
    joining = Joining(
        "dev",
        groups,
        MemoryNodes(),
        machines,
        FileAuthority(authority.files.certificate, authority.files.key),
        routing,
        KafkaAccess(bootstrap="broker:9092", username="u", password="p"),
        clock,
    )
    server = JoinServer("127.0.0.1:0", authority.service("provisioner"), JoinApi(joining).add_to)
    await server.start()
    opened = Port(authority.files.certificate.read_bytes(), server.address, machines)
    yield opened
    await opened.channel.close()
    await server.stop()


async def test_a_machine_gets_an_hours_certificate_for_itself(port: Port) -> None:
    machine = Machine()
    answer = await port.join(machine.request())
    certificate = x509.load_pem_x509_certificate(answer.certificate_pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert uri == f"spiffe://dev/workspace/default/group/delays/node/{MACHINE}"
    assert str(identity_of_uri(uri)) == f"node/delays/{MACHINE}"
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life == timedelta(hours=1, minutes=1)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(port.ca_pem))
    assert certificate.public_key() == machine.key.public_key()
    assignment = Assignment.model_validate_json(answer.assignment_json)
    assert (assignment.group.name, assignment.fleet, assignment.revision) == ("delays", "delays-r1", 1)
    assert Routes.model_validate_json(answer.routes_json).generation == 1


async def test_joining_again_with_the_same_key_renews_and_with_another_is_denied(port: Port) -> None:
    machine = Machine()
    first = await port.join(machine.request())
    second = await port.join(machine.request())
    assert first.certificate_pem != second.certificate_pem
    await port.denied(Machine().request())


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "wrong"},
        {"token": ""},
        {"instance_id": "i-elsewhere"},
        {"fleet": "delays-r2"},
        {"group": "fraud"},
    ],
    ids=lambda c: next(iter(c.items())),
)
async def test_every_refusal_says_the_same(port: Port, changes: dict[str, str]) -> None:
    request = Machine().request(**changes)
    text = await port.denied(request)
    assert text == (
        f"machine {request.instance_id!r} may not join fleet {request.fleet!r} (it must be a launched member of the "
        "fleet, show the fleet's token, and keep its first key)"
    )


async def test_a_machine_of_another_fleet_is_denied(port: Port) -> None:
    port.machines.fleets = (members("delays", 2, "10.0.0.1"),)
    await port.denied(Machine().request())


async def test_a_request_that_is_no_request_is_invalid(port: Port) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="not a certificate signing request") as caught:
        await port.join(Machine().request(csr_pem="nonsense"))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_join_port_serves_nothing_else(port: Port) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ProvisionerServiceStub(port.channel).GetGroup(pb.GetGroupRequest(name="delays"), timeout=60)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
