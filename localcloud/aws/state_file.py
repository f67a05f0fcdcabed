"""The state file: SQLite, one transaction per change, so that a crash loses nothing that was answered.

Groups and machines are JSON, moto's services are blobs. Without a file everything is kept in memory, and nothing is
written. The write-ahead log is not flushed to the disk at each commit: a crash of this process loses nothing, a crash
of the operating system may lose the last moments.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS auto_scaling_group (name TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS service (name TEXT PRIMARY KEY, snapshot BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS machine (id TEXT PRIMARY KEY, pid INTEGER NOT NULL, started REAL NOT NULL);
CREATE TABLE IF NOT EXISTS mark (kind TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, name));
"""
BUSY_S_MAX = 10.0


@dataclass(slots=True, frozen=True)
class MachineRecord:
    """A process that was started for an instance; pid and start time together name it."""

    id: str
    pid: int
    started: float


class StateFile:
    """Everything that outlives a crash."""

    def __init__(self, path: Path | None) -> None:
        """None: in memory only."""
        self.durable = path is not None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path or ":memory:", timeout=BUSY_S_MAX, check_same_thread=False, isolation_level=None
        )
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + SCHEMA)

    def save(self, groups: Mapping[str, str | None], services: Mapping[str, bytes]) -> None:
        """Write groups (None: gone), by name or, once deleted, by ARN, and services in one transaction."""
        with self._lock, self._connection:
            self._connection.execute("BEGIN")
            for name, document in groups.items():
                if document is None:
                    self._connection.execute("DELETE FROM auto_scaling_group WHERE name = ?", (name,))
                else:
                    self._connection.execute("REPLACE INTO auto_scaling_group VALUES (?, ?)", (name, document))
            for name, snapshot in services.items():
                self._connection.execute("REPLACE INTO service VALUES (?, ?)", (name, snapshot))

    def groups(self) -> list[str]:
        """The documents of all groups."""
        return [row[0] for row in self._all("SELECT document FROM auto_scaling_group ORDER BY name")]

    def services(self) -> dict[str, bytes]:
        """The snapshots of all services."""
        return {str(row[0]): bytes(row[1]) for row in self._all("SELECT name, snapshot FROM service")}

    def put_machine(self, record: MachineRecord) -> None:
        """A process was started."""
        with self._lock:
            row = (record.id, record.pid, record.started)
            self._connection.execute("REPLACE INTO machine VALUES (?, ?, ?)", row)

    def drop_machines(self, ids: Iterable[str]) -> None:
        """These processes are of no interest any more."""
        with self._lock:
            self._connection.executemany("DELETE FROM machine WHERE id = ?", [(one,) for one in ids])

    def machines(self) -> dict[str, MachineRecord]:
        """The processes that were started and not dropped."""
        rows = self._all("SELECT id, pid, started FROM machine")
        return {row[0]: MachineRecord(row[0], row[1], row[2]) for row in rows}

    def fact(self, name: str, otherwise: str) -> str:
        """A fact, such as a secret, written the first time it is asked for."""
        with self._lock:
            self._connection.execute("INSERT OR IGNORE INTO fact VALUES (?, ?)", (name, otherwise))
            row = self._connection.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return str(row[0])

    def put_mark(self, kind: str, name: str, value: Any) -> None:
        """Note something of a kind (an interruption, a recommendation) under a name; `value` is written as JSON."""
        with self._lock:
            self._connection.execute("REPLACE INTO mark VALUES (?, ?, ?)", (kind, name, json.dumps(value)))

    def drop_marks(self, kind: str, names: Iterable[str]) -> None:
        """These are of no interest any more."""
        with self._lock:
            self._connection.executemany(
                "DELETE FROM mark WHERE kind = ? AND name = ?", [(kind, name) for name in names]
            )

    def marks(self, kind: str) -> dict[str, Any]:
        """What is noted of a kind, by name."""
        with self._lock:
            rows = self._connection.execute("SELECT name, document FROM mark WHERE kind = ?", (kind,)).fetchall()
        return {str(name): json.loads(document) for name, document in rows}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        with self._lock:
            return list(self._connection.execute(query).fetchall())
