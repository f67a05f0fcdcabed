"""Server-sent events: what changes, as it changes; an event's id resumes the stream after it.

The first byte comes at once, a heartbeat every 10 s. When the id to resume from is no longer kept (or from another
stack), a `reset` tells the reader to read everything anew.
"""

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from services.admin_api.api import AdminApi
from services.admin_api.domain.records import Event
from services.admin_api.domain.roles import ANY_WORKSPACE, Actor, Verb
from services.admin_api.rest.caller import Api, Caller
from services.admin_api.rest.changes import Changes

HEARTBEAT_S = 10.0
LOOK_S = 1.0  # another process may have written
BATCH = 200
STREAM_S_MAX = 3600.0  # then the reader comes back with its id, and its token is checked again
HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}

router = APIRouter(prefix="/v1", tags=["events"])


@router.get("/events", response_class=StreamingResponse)
async def events(  # noqa: PLR0913  what a request has
    request: Request,
    api: Api,
    caller: Caller,
    after: Annotated[int | None, Query(description="resume after this id; without it, from now on")] = None,
    kinds: Annotated[str, Query(description="comma-separated; all when empty")] = "",
    last_event_id: Annotated[str, Header(description="what browsers send to resume")] = "",
) -> StreamingResponse:
    """A stream of `{kind, name, generation, seq, object}`."""
    api.context.require(caller, Verb.READ)
    start = int(last_event_id) if last_event_id.isdigit() else after
    wanted = frozenset(k for k in kinds.split(",") if k)
    changes: Changes = request.app.state.changes
    return StreamingResponse(
        _stream(api, changes, caller, start, wanted), media_type="text/event-stream", headers=HEADERS
    )


async def _stream(
    api: AdminApi, changes: Changes, caller: Actor, start: int | None, kinds: frozenset[str]
) -> AsyncIterator[str]:
    clock = api.context.clock
    async with api.context.store.unit() as unit:
        oldest, newest = await unit.events.bounds()
    seq = newest if start is None else start
    yield ": connected\n\n"
    if start is not None and (start > newest or start < oldest - 1):
        seq = newest
        yield _line("reset", newest, {"seq": newest})
    else:
        yield _line("hello", seq, {"seq": seq})
    began = spoke = clock.monotonic()
    while not changes.closed and clock.monotonic() - began < STREAM_S_MAX:
        async with api.context.store.unit() as unit:
            found = await unit.events.after(seq, BATCH)
        for event in found:
            seq = event.seq
            if (not kinds or event.kind in kinds) and caller.workspace in {ANY_WORKSPACE, event.workspace}:
                spoke = clock.monotonic()
                yield _line("change", seq, _body(event))
        if clock.monotonic() - spoke >= HEARTBEAT_S:
            spoke = clock.monotonic()
            yield _line("heartbeat", seq, {"seq": seq})
        if len(found) < BATCH:
            await changes.wait(LOOK_S)


def _body(event: Event) -> dict[str, object]:
    body: dict[str, object] = {
        "kind": event.kind,
        "name": event.name,
        "generation": event.generation,
        "seq": event.seq,
        "at": event.at.timestamp(),
    }
    return body | ({"object": dict(event.body)} if event.body is not None else {})


def _line(name: str, seq: int, body: dict[str, object]) -> str:
    return f"id: {seq}\nevent: {name}\ndata: {json.dumps(body, separators=(',', ':'))}\n\n"
