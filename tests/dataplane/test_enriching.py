"""Enriching by a table: from a file, an object, a URL or Valkey; read again, bounded, served on while its source is away."""

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from pydantic import ValidationError

from dataplane.stages.enriching import Enriching
from dataplane.stages.events import Done, Outcome
from dataplane.stages.tables import parse_table
from localcloud.servers.valkey import ValkeyServer
from shared.contracts.works import Enrich
from shared.domain.errors import InvalidInput, NotFound
from tests.dataplane.streams import event, wait_until

UA = {"flight": {"carrier": "UA"}}


def no_s3(url: str, _: int) -> bytes:
    raise NotFound(f"object {url}: there is no S3 here")


def enrich(source: Mapping[str, object], **changes: object) -> Enriching:
    given = {"source": dict(source), "field": "flight.carrier", "into": "carrier", "refresh_s": 0.1} | changes
    return Enriching(Enrich.model_validate(given), no_s3)


def only(work: Enriching, value: object) -> Outcome:
    (outcome,) = work.run([event(value)])
    return outcome


def row_of(outcome: Outcome) -> object:
    return json.loads(outcome.outputs[0].value).get("carrier") if isinstance(outcome, Done) else outcome.reason


def test_a_table_in_a_file_is_read_again_and_serves_on_while_it_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "carriers.csv"
    work = enrich({"type": "file", "path": str(file), "format": "csv", "key": "code"})
    try:
        assert row_of(only(work, UA)) == "TableUnavailable"
        file.write_text("code,name\nUA,United\n")
        wait_until(lambda: row_of(only(work, UA)) == {"code": "UA", "name": "United"}, "the table is there")
        file.write_text("no,key\n1,2\n")
        wait_until(lambda: "has no 'code'" in work._lookup._why, "the bad table was seen")  # type: ignore[attr-defined]
        assert row_of(only(work, UA)) == {"code": "UA", "name": "United"}
        file.write_text("code,name\nUA,United Airlines\n")
        wait_until(lambda: "Airlines" in str(row_of(only(work, UA))), "the mended table is there")
        assert row_of(only(work, {"flight": 3})) is None
    finally:
        work.close()


def test_what_has_no_row_is_as_declared(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text('{"AA": 1}')
    source: dict[str, object] = {"type": "file", "path": str(file)}
    wanted: list[tuple[dict[str, object], object]] = [
        ({}, None),
        ({"on_missing": "default", "default": {"name": "?"}}, {"name": "?"}),
        ({"on_missing": "dead_letter"}, "NoRow"),
    ]
    for changes, row in wanted:
        work = enrich(source, **changes)
        wait_until(lambda work=work, row=row: row_of(only(work, UA)) == row, f"{row}")  # type: ignore[misc]
        work.close()
    work = enrich(source, on_missing="drop")
    wait_until(lambda: only(work, UA) == Done((), "no_row"), "it is dropped")
    work.close()
    with pytest.raises(ValidationError, match="give both or neither"):
        enrich(source, on_missing="default")


def test_tables_are_bounded_and_say_what_is_wrong_with_them() -> None:
    with pytest.raises(InvalidInput, match="3 rows"):
        parse_table(b'[{"k":1},{"k":2},{"k":3}]', "json", "k", 2)
    for bad in (b"\xff", b"3", b'[{"x":1}]', b"[3]"):
        with pytest.raises(InvalidInput):
            parse_table(bad, "json", "k", 10)
    assert parse_table(b'{"k":"a"}\n{"k":"b"}\n', "jsonl", "k", 10) == {"a": {"k": "a"}, "b": {"k": "b"}}


def test_a_table_behind_a_url_and_one_in_valkey(empty_valkey: ValkeyServer, tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"UA": {"name": "United"}}')

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    work = enrich({"type": "http", "url": f"http://127.0.0.1:{server.server_address[1]}/"})
    wait_until(lambda: row_of(only(work, UA)) == {"name": "United"}, "the table is there")
    work.close()
    server.shutdown()
    thread.join()
    server.server_close()

    client = redis.Redis.from_url(empty_valkey.url)
    client.mset({"c:UA": '{"name": "United"}', "c:AA": "plain"})
    password = tmp_path / "password"
    password.write_text(str(urlsplit(empty_valkey.url).password))
    source: dict[str, object] = {"type": "valkey", "url": f"redis://127.0.0.1:{empty_valkey.port}", "prefix": "c:"}
    work = enrich(source | {"password_file": str(password)}, rows_max=2, refresh_s=3600)
    found = work.run([event({"flight": {"carrier": c}}) for c in ("UA", "AA", "XX")])
    assert [row_of(o) for o in found] == [{"name": "United"}, "plain", None]
    client.close()
    assert row_of(only(work, {"flight": {"carrier": "AA"}})) == "plain"
    work.close()
    away = enrich(source | {"url": "redis://127.0.0.1:1", "timeout_s": 0.2})
    assert row_of(only(away, UA)) == "TableUnavailable"


def test_a_row_of_valkey_serves_on_while_it_is_away(empty_valkey: ValkeyServer, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(str(urlsplit(empty_valkey.url).password))
    source: dict[str, object] = {
        "type": "valkey",
        "url": f"redis://127.0.0.1:{empty_valkey.port}",
        "password_file": str(password),
    }
    client = redis.Redis.from_url(empty_valkey.url)
    client.set("UA", "1")
    client.close()
    work = enrich(source)
    assert row_of(only(work, UA)) == 1
    password.write_text("wrong")
    work.close()  # the next question connects anew, and is refused
    wait_until(lambda: time.monotonic() > work._lookup._kept["UA"][0] + 0.2, "the row is too old")  # type: ignore[attr-defined]
    assert row_of(only(work, UA)) == 1
    assert row_of(only(work, {"flight": {"carrier": "AA"}})) == "TableUnavailable"
    work.close()
