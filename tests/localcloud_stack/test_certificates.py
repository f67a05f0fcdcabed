"""The development authority, used as services use it: gRPC with mutual TLS over loopback."""

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from localcloud.certificates import DevelopmentAuthority
from shared.grpc.identity import identity_of_uri
from shared.grpc.tls import channel_credentials, server_credentials


def certificate_of(place: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((place / "cert.pem").read_bytes())


def test_a_service_has_its_identity_and_loopback_names(tmp_path: Path) -> None:
    place = DevelopmentAuthority(tmp_path, "dev").service("observer")
    names = certificate_of(place).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    [uri] = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert str(identity_of_uri(uri)) == "service/observer"
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


def test_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    authority = DevelopmentAuthority(tmp_path, "dev")
    for key in (authority.service("observer") / "key.pem", authority.files.key):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_identities_are_kept_until_they_end_within_a_week(tmp_path: Path) -> None:
    first = certificate_of(DevelopmentAuthority(tmp_path, "dev").service("observer"))
    assert certificate_of(DevelopmentAuthority(tmp_path, "dev").service("observer")) == first
    later = datetime.now(UTC) + timedelta(days=24)
    renewed = certificate_of(DevelopmentAuthority(tmp_path, "dev", later).service("observer"))
    assert renewed.serial_number != first.serial_number
    assert renewed.issuer == first.issuer


def test_a_new_authority_renews_what_the_old_one_signed(tmp_path: Path) -> None:
    place = DevelopmentAuthority(tmp_path, "dev").service("observer")
    old = certificate_of(place)
    later = datetime.now(UTC) + timedelta(days=360)
    DevelopmentAuthority(tmp_path, "dev", later).service("observer")
    assert certificate_of(place).issuer != old.issuer


def _serve(authority: DevelopmentAuthority) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(authority.service("observer")))
    server.start()
    return server, port


@pytest.mark.parametrize(("whose", "answered"), [("ours", True), ("theirs", False)])
def test_only_the_authoritys_own_are_let_in(tmp_path: Path, whose: str, answered: bool) -> None:
    server, port = _serve(DevelopmentAuthority(tmp_path / "ours", "dev"))
    try:
        credentials = channel_credentials(DevelopmentAuthority(tmp_path / whose, "dev").service("deployer"))
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            ask = health_pb2_grpc.HealthStub(channel).Check
            if answered:
                assert ask(health_pb2.HealthCheckRequest(), timeout=60).status == health_pb2.HealthCheckResponse.SERVING
            else:
                with pytest.raises(grpc.RpcError):
                    ask(health_pb2.HealthCheckRequest(), timeout=3)
    finally:
        server.stop(None)
