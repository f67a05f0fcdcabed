"""The stack's certificate authority: signs what machines ask for, one hour at a time.

A machine's certificate names it in a URI (`spiffe://...`); it also carries `localhost`, the name that every channel
of ours expects of its server, and the machine's own address.
"""

import hashlib
import ipaddress
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.domain.errors import InvalidInput

LIFE = timedelta(hours=1)
BACKDATED = timedelta(minutes=1)  # clocks differ
CSR_LENGTH_MAX = 16_384
RSA_BITS_MIN = 2048


class FileAuthority:
    """`Authority`, with certificate and key in files."""

    def __init__(self, certificate_file: Path, key_file: Path) -> None:
        """Read once; a new authority needs a restart."""
        self._pem = certificate_file.read_text(encoding="ascii")
        self._certificate = x509.load_pem_x509_certificate(self._pem.encode())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise InvalidInput(f"authority: a key of type {type(key).__name__} cannot sign", remedy="use EC or RSA")
        self._key = key

    @property
    def certificate_pem(self) -> str:
        """Public."""
        return self._pem

    def key_digest(self, csr_pem: str) -> str:
        """The sha256 of the request's public key."""
        public = _checked(csr_pem).public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()

    def sign(self, csr_pem: str, uri: str, address: str, now: datetime) -> str:
        """Everything but the key is ours, whatever the request asks."""
        request = _checked(csr_pem)
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri), x509.DNSName("localhost")]
        if address:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri.rpartition("/")[2][:64])]))
            .issuer_name(self._certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + LIFE)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
                critical=False,
            )
        )
        algorithm = None if isinstance(self._key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self._key, algorithm).public_bytes(serialization.Encoding.PEM).decode()


def _checked(csr_pem: str) -> x509.CertificateSigningRequest:
    if len(csr_pem) > CSR_LENGTH_MAX:
        raise InvalidInput(f"csr_pem: {len(csr_pem)} characters, at most {CSR_LENGTH_MAX}", field="csr_pem")
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        valid = request.is_signature_valid
    except (ValueError, InvalidSignature) as e:
        raise InvalidInput("csr_pem: not a certificate signing request", field="csr_pem") from e
    if not valid:
        raise InvalidInput("csr_pem: its signature does not fit its key", field="csr_pem")
    key = request.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_BITS_MIN:
        raise InvalidInput(f"csr_pem: RSA of {key.key_size} bits, at least {RSA_BITS_MIN}", field="csr_pem")
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise InvalidInput(f"csr_pem: a key of type {type(key).__name__}", field="csr_pem", remedy="use EC P-256")
    return request
