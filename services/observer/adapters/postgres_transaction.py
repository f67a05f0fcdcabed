"""What one admission reads and writes in PostgreSQL, within its locks.

The statements of the hot path go to the driver as they are: compiling and adapting them costs more than they do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import dict_row

from services.observer.adapters import tables
from services.observer.adapters.driver_connections import Driver
from services.observer.adapters.ledger_rows import row_of_activity, window_of_row
from services.observer.domain.activities import Activity, Waiting
from services.observer.domain.quieting import QuietWindow
from services.observer.domain.topology import Topology
from shared.domain.names import ActivityId, FencingToken, RequestId
from shared.domain.scope import Scope

_COLUMNS = tuple(c.name for c in tables.activities.columns)
_ADD = f"INSERT INTO activities ({', '.join(_COLUMNS)}) VALUES ({', '.join(f'%({c})s' for c in _COLUMNS)})"  # noqa: S608
_SAVE = f"UPDATE activities SET {', '.join(f'{c} = %({c})s' for c in _COLUMNS)} WHERE id = %(id)s"  # noqa: S608
_SAVE_WAITING = (
    "INSERT INTO waiting (request, scope, holder, place, asked_at, superseded_by)"
    " VALUES (%(request)s, %(scope)s, %(holder)s, %(place)s, %(asked_at)s, %(superseded_by)s)"
    " ON CONFLICT (request) DO UPDATE SET asked_at = excluded.asked_at, superseded_by = excluded.superseded_by"
)
_QUIET_SPANS = "SELECT starts_at, ends_at, closed_at FROM quiet_windows WHERE scope = %s AND ends_at > %s"
_OPEN_WINDOW = (
    "INSERT INTO quiet_windows"
    " (id, request, scope, classes, starts_at, ends_at, tail_s, activity, token, holder, reason)"
    " VALUES (%(id)s, %(request)s, %(scope)s, %(classes)s, %(starts_at)s, %(ends_at)s, %(tail_s)s, %(activity)s,"
    " %(token)s, %(holder)s, %(reason)s)"
)
_FINISH = (
    "WITH closed AS (UPDATE quiet_windows SET closed_at = %(closed_at)s"
    " WHERE activity = %(activity)s AND closed_at IS NULL)"
    " UPDATE activities SET outcome = %(outcome)s, ended_at = %(ended_at)s, note = %(note)s, parked = false,"
    " ask_request = NULL, ask_asked_at = NULL, ask_renewed_at = NULL WHERE id = %(activity)s"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one admission read under its locks."""

    now: float
    topology: Topology
    activities: Sequence[Activity]
    waiting: Sequence[Waiting]
    token: FencingToken


class PostgresTransaction:
    """Reads and writes of one admission; inserts and updates go out as they are made."""

    def __init__(
        self,
        driver: Driver,
        seen: Seen,
        quarantine_s: float,
        scopes: dict[ActivityId, Scope],
    ) -> None:
        """What was read under the locks."""
        self._driver = driver
        self._seen = seen
        self._scopes = scopes
        self.now = seen.now
        self.topology = seen.topology
        self.waiting = seen.waiting
        self.token = seen.token
        self.unsettled: Sequence[Activity] = [a for a in seen.activities if a.unsettled(seen.now, quarantine_s)]

    async def by_request(self, request: RequestId) -> Activity | None:
        """What was granted under the request id that the admission was opened with."""
        return next((a for a in self._seen.activities if a.request == request), None)

    async def by_id(self, activity: ActivityId) -> Activity | None:
        """The activity that the admission was opened with."""
        return next((a for a in self._seen.activities if a.id == activity), None)

    async def add(self, activity: Activity) -> None:
        """A new row."""
        await self._driver.execute(_ADD, row_of_activity(activity))
        self._scopes[activity.id] = activity.scope

    async def save(self, activity: Activity) -> None:
        """A changed row."""
        await self._driver.execute(_SAVE, row_of_activity(activity))

    async def save_waiting(self, waiting: Waiting) -> None:
        """Insert or change."""
        row = {
            "request": waiting.request,
            "scope": str(waiting.scope),
            "holder": waiting.holder,
            "place": waiting.order,
            "asked_at": waiting.asked_at,
            "superseded_by": waiting.superseded_by,
        }
        await self._driver.execute(_SAVE_WAITING, row)

    async def quiet_seconds(self, scope: Scope, since: float) -> float:
        """Seconds of quiet of a scope after `since`, up to now."""
        cursor = await self._driver.execute(_QUIET_SPANS, (str(scope), since))
        spans = [
            max(0.0, min(ends if closed is None else min(closed, ends), self.now) - max(starts, since))
            for starts, ends, closed in await cursor.fetchall()
        ]
        return float(sum(spans))

    async def window_of_request(self, request: RequestId) -> QuietWindow | None:
        """A person's window."""
        async with self._driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute("SELECT * FROM quiet_windows WHERE request = %s", (request,))
            row = await cursor.fetchone()
        return window_of_row(row) if row else None

    async def open_window(self, window: QuietWindow, request: RequestId) -> None:
        """A new window."""
        row = {
            "id": window.id,
            "request": request,
            "scope": str(window.scope),
            "classes": sorted(window.classes),
            "starts_at": window.starts_at,
            "ends_at": window.ends_at,
            "tail_s": window.tail_s,
            "activity": window.activity,
            "token": window.token,
            "holder": window.holder,
            "reason": window.reason,
        }
        await self._driver.execute(_OPEN_WINDOW, row)

    async def finish(self, ended: Activity, windows_close_at: float) -> None:
        """An activity that has ended, and its windows with it, in one statement."""
        given = {
            "activity": ended.id,
            "outcome": ended.outcome.value if ended.outcome else None,
            "ended_at": ended.ended_at,
            "note": ended.note,
            "closed_at": windows_close_at,
        }
        await self._driver.execute(_FINISH, given)
