"""What a node keeps on its disk: its key and certificate, and the last assignment and routes it heard.

With them it starts and works on while the control plane is away.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.contracts.node import Assignment, Routes

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
RENEW_AFTER_SHARE = 0.6  # of the certificate's life


@dataclass(frozen=True, slots=True)
class Orders:
    """What a node works on, and which fleets take traffic."""

    assignment: Assignment
    routes: Routes

    def weight(self) -> int:
        """Of this node's fleet; 0: take nothing."""
        return next((f.weight for f in self.routes.fleets if f.fleet == self.assignment.fleet), 0)


class NodeState:
    """A folder that only the agent's user can read."""

    def __init__(self, folder: Path) -> None:
        """Made when it is not there."""
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        folder.chmod(PRIVATE_FOLDER)
        self.folder = folder

    def csr(self, name: str) -> str:
        """A signing request for this node's key, which is made once: the stack knows a machine by it."""
        key = self._key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def keep_certificate(self, ca_pem: str, certificate_pem: str) -> None:
        """As `ca.pem`, `cert.pem` beside `key.pem`: what TLS reads."""
        self._write("ca.pem", ca_pem.encode())
        self._write("cert.pem", certificate_pem.encode())

    def renew_at(self) -> datetime | None:
        """When the certificate should be renewed; None when there is no certificate that still holds."""
        file = self.folder / "cert.pem"
        if not file.exists():
            return None
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if ends <= datetime.now(UTC) + timedelta(seconds=1):
            return None
        return begins + (ends - begins) * RENEW_AFTER_SHARE

    def keep_orders(self, orders: Orders) -> None:
        """The last copy."""
        self._write("assignment.json", orders.assignment.model_dump_json().encode())
        self._write("routes.json", orders.routes.model_dump_json().encode())

    def orders(self) -> Orders | None:
        """The last copy; None when there is none."""
        files = self.folder / "assignment.json", self.folder / "routes.json"
        if not all(file.exists() for file in files):
            return None
        return Orders(
            Assignment.model_validate_json(files[0].read_bytes()), Routes.model_validate_json(files[1].read_bytes())
        )

    def _key(self) -> ec.EllipticCurvePrivateKey:
        file = self.folder / "key.pem"
        if file.exists():
            kept = serialization.load_pem_private_key(file.read_bytes(), None)
            if isinstance(kept, ec.EllipticCurvePrivateKey):
                return kept
        key = ec.generate_private_key(ec.SECP256R1())
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        self._write("key.pem", key.private_bytes(encoding, form, serialization.NoEncryption()))
        return key

    def _write(self, name: str, content: bytes) -> None:
        """Whole or not at all, also through a crash."""
        fresh = self.folder / f".{name}.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.folder / name)
