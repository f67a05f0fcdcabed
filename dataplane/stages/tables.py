"""Tables that events are enriched from: fetched whole and kept, or asked for key by key. Old rows serve while new ones fail.

A table in a file, in the bundle bucket or behind a URL is read again after `refresh_s` by a thread of its own; one that
cannot be read, or is too large, leaves the rows that are there. A Valkey table is asked once a batch for the rows that
are not there or too old. Neither ever holds more than `rows_max` rows.
"""

import csv
import io
import threading
import time
import urllib.request
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson
import redis
import structlog

from dataplane.stages.http_bodies import read_whole
from shared.contracts.works import Enrich, FileTable, HttpTable, S3Table, ValkeyTable
from shared.domain.errors import InvalidInput, Unavailable

TABLE_BYTES_MAX = 256 * 1024 * 1024
FAILED_AGAIN_S = 5.0  # at most; a table that is not there yet is asked for sooner than a stale one
FIRST_AGAIN_S = 0.2
LOG = structlog.get_logger()
Row = Any
ReadS3 = Callable[[str, int], bytes]  # an s3:// address and the most bytes wanted


@dataclass(frozen=True, slots=True)
class Found:
    """Rows by key; `unknown_why` is set when what is not among them may only not be known."""

    rows: dict[str, Row]
    unknown_why: str = ""


class Lookup(Protocol):
    """Where rows come from."""

    def find(self, keys: Sequence[str]) -> Found:
        """Rows of these keys; never raises for a source that is away."""
        ...

    def close(self) -> None:
        """End threads and connections."""
        ...


def lookup_of(spec: Enrich, read_s3: ReadS3) -> Lookup:
    """The lookup of a declared source."""
    match spec.source:
        case ValkeyTable():
            return ValkeyLookup(spec, spec.source)
        case FileTable() as file:
            return WholeTable(spec, file, lambda: _read_file(Path(file.path)))
        case S3Table() as s3:
            return WholeTable(spec, s3, lambda: read_s3(s3.url, TABLE_BYTES_MAX))
        case HttpTable() as web:
            return WholeTable(spec, web, lambda: _read_url(web))


class WholeTable:
    """A table that is kept whole."""

    def __init__(self, spec: Enrich, source: FileTable | S3Table | HttpTable, read: Callable[[], bytes]) -> None:
        """Reading begins at once, in a thread."""
        self._spec, self._source, self._read = spec, source, read
        self._rows: dict[str, Row] | None = None
        self._read_at = 0.0
        self._why = "it has not been read yet"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_fresh, name="table", daemon=True)
        self._thread.start()

    def find(self, keys: Sequence[str]) -> Found:
        """From what was read last."""
        rows = self._rows
        if rows is None:
            return Found({}, self._why)
        age_s = time.monotonic() - self._read_at
        if age_s > self._spec.stale_s_max:
            return Found({}, f"its rows are {age_s:.0f} s old, {self._spec.stale_s_max:g} are allowed: {self._why}")
        return Found({k: rows[k] for k in keys if k in rows})

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join(FAILED_AGAIN_S)

    def _keep_fresh(self) -> None:
        again_s = FIRST_AGAIN_S
        while not self._stopping.is_set():
            try:
                rows = parse_table(self._read(), self._source.format, self._source.key, self._spec.rows_max)
            except Exception as e:  # whatever is wrong with it: the rows that are there serve on, and it is read again
                self._why = f"{type(e).__name__}: {e}"
                LOG.warning("table not read", source=self._source.type, why=self._why, kept=len(self._rows or ()))
                self._stopping.wait(min(again_s, self._spec.refresh_s))
                again_s = min(FAILED_AGAIN_S, again_s * 2)
                continue
            self._rows, self._read_at, self._why = rows, time.monotonic(), ""
            again_s = FIRST_AGAIN_S
            self._stopping.wait(self._spec.refresh_s)


class ValkeyLookup:
    """Rows by key from Valkey, the most used of them kept."""

    def __init__(self, spec: Enrich, source: ValkeyTable) -> None:
        """Connects when first asked; the password is read then."""
        self._spec, self._source = spec, source
        self._kept: OrderedDict[str, tuple[float, Row]] = OrderedDict()  # least used first; None: there is no such row
        self._client: redis.Redis | None = None

    def find(self, keys: Sequence[str]) -> Found:
        """One question for all that is not kept or too old; used by one thread."""
        now = time.monotonic()
        wanted = [
            k for k in dict.fromkeys(keys) if k not in self._kept or now - self._kept[k][0] > self._spec.refresh_s
        ]
        why = ""
        if wanted:
            try:
                fetched = self._fetch(wanted)
            except (redis.RedisError, OSError) as e:
                why = f"{self._source.url}: {type(e).__name__}: {e}"
                self.close()
            else:
                self._kept.update((k, (now, row)) for k, row in fetched.items())
        rows: dict[str, Row] = {}
        missed = False
        for key in keys:
            kept = self._kept.get(key)
            if kept is None or now - kept[0] > self._spec.stale_s_max + self._spec.refresh_s:
                missed = True
            else:
                self._kept.move_to_end(key)
                if kept[1] is not None:
                    rows[key] = kept[1]
        while len(self._kept) > self._spec.rows_max:
            self._kept.popitem(last=False)
        return Found(rows, why if missed else "")

    def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _fetch(self, keys: Sequence[str]) -> dict[str, Row]:
        if self._client is None:
            password = Path(self._source.password_file).read_text().strip() if self._source.password_file else None
            timeout_s = self._source.timeout_s
            self._client = redis.Redis.from_url(
                self._source.url, password=password, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
            )
        texts: Any = self._client.mget([self._source.prefix + k for k in keys])
        return {k: _row(text) for k, text in zip(keys, texts, strict=True)}


def _row(text: bytes | None) -> Row:
    """A row that is not JSON is a text."""
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.decode(errors="replace")


def parse_table(data: bytes, form: str, key: str, rows_max: int) -> dict[str, Row]:
    r"""Rows by key; InvalidInput when it is no such table or has too many rows.

    >>> parse_table(b'{"UA": {"name": "United"}}', "json", "", 10)
    {'UA': {'name': 'United'}}
    >>> parse_table(b'code,name\nUA,United\n', "csv", "code", 10)
    {'UA': {'code': 'UA', 'name': 'United'}}
    """
    try:
        if form == "csv":
            rows: Any = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
        elif form == "jsonl":
            rows = [orjson.loads(line) for line in data.splitlines() if line.strip()]
        else:
            rows = orjson.loads(data)
    except (ValueError, csv.Error) as e:
        raise InvalidInput(f"table: it is not {form}: {e}", remedy="mend the table, or declare its format") from e
    if form == "csv" and any(None in row for row in rows):
        raise InvalidInput("table: a row has more columns than the first line names", remedy="mend the table")
    if isinstance(rows, list):
        bad = next((r for r in rows if not isinstance(r, dict) or r.get(key) is None), None)
        if bad is not None:
            raise InvalidInput(
                f"table: the row {str(bad)[:80]!r} has no {key!r}", remedy="declare the key's column as `key`"
            )
        rows = {str(r[key]): r for r in rows}
    if not isinstance(rows, dict):
        raise InvalidInput(f"table: a JSON {type(rows).__name__}", remedy="give an object of rows by key, or an array")
    if len(rows) > rows_max:
        raise InvalidInput(f"table: {len(rows)} rows", remedy=f"at most {rows_max} are kept: raise rows_max")
    return rows


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _bounded(file.read(TABLE_BYTES_MAX + 1), str(path))


def _read_url(source: HttpTable) -> bytes:
    host = urlsplit(source.url).hostname
    try:
        with urllib.request.urlopen(source.url, timeout=source.timeout_s) as answer:  # noqa: S310  declared as http(s)
            return read_whole(answer, source.url, TABLE_BYTES_MAX)
    except (ValueError, HTTPException) as e:
        raise Unavailable(f"table: {host}: {e}") from e


def _bounded(data: bytes, where: str) -> bytes:
    if len(data) > TABLE_BYTES_MAX:
        raise InvalidInput(f"table {where}: more than {TABLE_BYTES_MAX} bytes", remedy="keep it in Valkey")
    return data
