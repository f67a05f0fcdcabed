"""Certificates of simulated callers, made once a process: the servers' gate reads identities from real ones."""

from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from shared.grpc.identity import _identity_of_pem

_FROM, _UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)


@cache
def certificate(identity: str) -> bytes:
    """PEM of `service/<name>` or `person/<name>`; read once here, because reading it takes a real clock's while."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([])
    uri = x509.UniformResourceIdentifier(f"spiffe://sim/{identity}")
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
        .sign(key, None)
    )
    pem = made.public_bytes(Encoding.PEM)
    _identity_of_pem(pem)
    return pem
