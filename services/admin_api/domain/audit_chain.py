"""The audit log is a chain: each row's digest covers the row before it, so no row is changed or removed unseen."""

import json
from collections.abc import Sequence
from hashlib import sha256

from services.admin_api.domain.records import AuditEntry, AuditRow

FIRST = "0" * 64


def digest_of(entry: AuditEntry, previous: str) -> str:
    """SHA-256 over the row before and this entry, in a canonical form."""
    body = {
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "role": entry.role,
        "via": entry.via,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "request_id": entry.request_id,
        "detail": entry.detail,
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(f"{previous}\n{text}".encode()).hexdigest()


def first_broken(rows: Sequence[AuditRow], previous: str = FIRST) -> int | None:
    """The `seq` of the first row that does not continue the chain; None when all do."""
    for row in rows:
        if row.previous != previous or row.digest != digest_of(row.entry, previous):
            return row.seq
        previous = row.digest
    return None
