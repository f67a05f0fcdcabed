"""The stack's development authority and the identities it gives to services.

An identity is a URI name, `spiffe://<stack>/service/<name>`; the names `localhost` and 127.0.0.1 are beside it, because
everything listens on loopback. Machines get theirs from the Provisioner, which signs with the same authority. In
production the authority is the operator's own.
"""

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFE = timedelta(days=365)
SERVICE_LIFE = timedelta(days=30)
RENEW_BEFORE = timedelta(days=7)
CLOCKS_APART_MAX = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class AuthorityFiles:
    """Where the authority's certificate and key are."""

    certificate: Path
    key: Path


class DevelopmentAuthority:
    """Makes the authority once, and identities as they are needed, under one directory.

    `<directory>/authority/{ca.pem,ca-key.pem}` and `<directory>/<name>/{ca.pem,cert.pem,key.pem}`; keys are readable by
    their owner only.
    """

    def __init__(self, directory: Path, stack: str, now: datetime | None = None) -> None:
        """Open the authority, or make it; one that ends within a week is made anew (and so is all it has signed)."""
        self._directory = directory
        self._stack = stack
        self._now = now or datetime.now(UTC)
        self.files = AuthorityFiles(directory / "authority" / "ca.pem", directory / "authority" / "ca-key.pem")
        if not self.files.key.exists() or self._ends_soon(_load(self.files.certificate)):
            self._make()
        self._certificate = _load(self.files.certificate)
        key = serialization.load_pem_private_key(self.files.key.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.files.key} is not an elliptic-curve key: remove its folder; it is made anew")
        self._key = key

    def service(self, name: str) -> Path:
        """The directory with a service's identity, made or renewed when it must be."""
        place = self._directory / name
        if not self._is_good(place):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = self._sign(name, key.public_key())
            _write(place / "key.pem", _pem_of_key(key))
            _write(place / "cert.pem", certificate.public_bytes(serialization.Encoding.PEM))
            _write(place / "ca.pem", self.files.certificate.read_bytes())
        return place

    def _is_good(self, place: Path) -> bool:
        if not all((place / name).exists() for name in ("key.pem", "cert.pem", "ca.pem")):
            return False
        certificate = _load(place / "cert.pem")
        if self._ends_soon(certificate) or certificate.issuer != self._certificate.subject:
            return False
        return (place / "ca.pem").read_bytes() == self.files.certificate.read_bytes()

    def _ends_soon(self, certificate: x509.Certificate) -> bool:
        return certificate.not_valid_after_utc - self._now < RENEW_BEFORE

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        serial = x509.random_serial_number()
        name = _name(f"Headrace development authority {serial % 10**8:08d}")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(self._now - CLOCKS_APART_MAX)
            .not_valid_after(self._now + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(self.files.key, _pem_of_key(key))
        _write(self.files.certificate, certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name: str, public_key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        uri = x509.UniformResourceIdentifier(f"spiffe://{self._stack}/service/{name}")
        loopback = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self._certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - CLOCKS_APART_MAX)
            .not_valid_after(min(self._now + SERVICE_LIFE, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName([uri, *loopback]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """Write through a file of mode 0600 and rename: nobody ever reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.replace(path)
