"""Who calls: the URI name in the client's certificate.

`spiffe://<stack>/service/<name>` or `spiffe://<stack>/workspace/<w>/group/<g>/node/<instance>`.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from cryptography import x509

from shared.domain.errors import Unauthenticated

CERTIFICATES_KEPT_MAX = 4096


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller; `kind` is service, node or person."""

    kind: str
    name: str
    group: str = ""
    workspace: str = ""

    def __str__(self) -> str:
        """`service/observer`, `node/<group>/<instance>`."""
        return "/".join(part for part in (self.kind, self.group, self.name) if part)

    def fits(self, pattern: str) -> bool:
        """Whether it is one of the pattern's, e.g. `service/*`.

        >>> Identity("node", "i-1", "delays").fits("node/*")
        True
        """
        return fnmatchcase(str(self), pattern)


@lru_cache(maxsize=CERTIFICATES_KEPT_MAX)
def may_call(caller: Identity, patterns: frozenset[str]) -> bool:
    """Whether it is one of any of them; asked with every call, so the answer is kept."""
    return any(caller.fits(p) for p in patterns)


def identity_of_uri(uri: str) -> Identity:
    """Read a certificate's URI name.

    >>> str(identity_of_uri("spiffe://dev/service/observer"))
    'service/observer'
    """
    match uri.removeprefix("spiffe://").split("/"):
        case [_, "service", name]:
            return Identity("service", name)
        case [_, "person", name]:
            return Identity("person", name)
        case [_, "workspace", workspace, "group", group, "node", node]:
            return Identity("node", node, group, workspace)
        case _:
            pass
    raise Unauthenticated(f"certificate: {uri!r} is not an identity of this stack", remedy="join again")


def peer_identity(context: Any) -> Identity:
    """The caller of an RPC; Unauthenticated without a certificate."""
    pem = context.auth_context().get("x509_pem_cert", [])
    if not pem:
        raise Unauthenticated("no client certificate", remedy="call with a certificate of the stack's authority")
    return _identity_of_pem(pem[0])


@lru_cache(maxsize=CERTIFICATES_KEPT_MAX)
def _identity_of_pem(pem: bytes) -> Identity:
    """The name in a certificate that TLS has verified; a peer shows the same one with every call."""
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if not uris:
        raise Unauthenticated("certificate has no URI name", remedy="issue it from the stack's authority")
    return identity_of_uri(uris[0])
