"""Credentials from a directory with `ca.pem`, `cert.pem` and `key.pem`."""

from pathlib import Path

import grpc


def server_credentials(tls_dir: Path) -> grpc.ServerCredentials:
    """Mutual TLS: a client without a certificate of the stack's authority is turned away."""
    ca, cert, key = _read(tls_dir)
    return grpc.ssl_server_credentials([(key, cert)], root_certificates=ca, require_client_auth=True)


def channel_credentials(tls_dir: Path) -> grpc.ChannelCredentials:
    """Mutual TLS with this process' identity."""
    ca, cert, key = _read(tls_dir)
    return grpc.ssl_channel_credentials(root_certificates=ca, private_key=key, certificate_chain=cert)


def _read(tls_dir: Path) -> tuple[bytes, bytes, bytes]:
    return tuple((tls_dir / name).read_bytes() for name in ("ca.pem", "cert.pem", "key.pem"))  # type: ignore[return-value]  # three names, three items
