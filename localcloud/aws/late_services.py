"""EC2 and IAM whose reads lag behind writes, as AWS's may: for one read, in one thread, moto's objects are what they were.

While reads are late, each change of a service is kept as a snapshot (`moto_snapshot`), which reads come to see so much
later. Changes that follow each other within a fiftieth of the delay share one, so their number is bounded.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.core.base_backend import AccountSpecificBackend

from localcloud.aws import moto_snapshot
from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.moto_services import MotoServices, backends

LATE_SERVICES = ("ec2", "iam")
GAP_S_MIN, SHARE_OF_DELAY = 0.05, 0.02
TIMES_ITS_COST = 5.0  # a snapshot that is slow to make is made so much less often


@dataclass(slots=True)
class _Past:
    """What is kept of a service. `versions`: (since when, snapshot), oldest first; reads see the first that is due."""

    changes: int
    versions: deque[tuple[float, bytes]] = field(default_factory=deque)
    cost_s: float = 0.0
    seen: Any = None  # moto's object made of the first version


class LateServices:
    """Not safe by itself: the lock of moto's services is held by its methods."""

    def __init__(self, services: MotoServices, clock: Clock, delay_s: Callable[[str], float]) -> None:
        """`delay_s` of a service: 0 while reads see what is."""
        self._services, self._clock, self._delay_s = services, clock, delay_s
        self._pasts: dict[str, _Past] = {}
        self._in_place = threading.local()
        for service in LATE_SERVICES:
            account = backends(service)[services.account]
            backends(service)[services.account] = _Account(account, service, self._in_place)

    def follow(self) -> None:
        """Reads may have begun to be late, or ceased. What is when they begin is what they see at first."""
        with self._services.lock:
            for service in LATE_SERVICES:
                if not self._delay_s(service):
                    self._pasts.pop(service, None)
                elif service not in self._pasts:
                    self._pasts[service] = past = _Past(self._services.changes[service])
                    self._keep(service, past)

    def note(self) -> None:
        """Something may have changed just now."""
        if not self._pasts:
            return
        with self._services.lock:
            self.follow()
            for service, past in self._pasts.items():
                if past.changes != self._services.changes[service] and self._clock.now() >= self._next(service, past):
                    self._keep(service, past)

    def next_due(self) -> float | None:
        """When a change that came too soon after another one is to be kept; None without one."""
        with self._services.lock:
            waiting = [
                self._next(service, past)
                for service, past in self._pasts.items()
                if past.changes != self._services.changes[service]
            ]
        return min(waiting, default=None)

    @contextmanager
    def reading(self, service: str) -> Iterator[None]:
        """Within it, this thread finds the service as reads see it now."""
        past = self._pasts.get(service)
        delay_s = self._delay_s(service)
        if past is None or not delay_s:
            yield
            return
        with self._services.lock:
            horizon = self._clock.now() - delay_s
            while len(past.versions) > 1 and past.versions[1][0] <= horizon:
                past.versions.popleft()
                past.seen = None
            if past.seen is None:
                past.seen = self._restore(service, past.versions[0][1])
            with self._instead(service, past.seen):
                yield

    def _next(self, service: str, past: _Past) -> float:
        gap_s = max(GAP_S_MIN, self._delay_s(service) * SHARE_OF_DELAY, past.cost_s * TIMES_ITS_COST)
        return past.versions[-1][0] + gap_s

    def _keep(self, service: str, past: _Past) -> None:
        began = time.thread_time()
        past.changes = self._services.changes[service]
        past.versions.append((self._clock.now(), moto_snapshot.write(self._services, service, None)))
        past.cost_s = time.thread_time() - began

    def _restore(self, service: str, snapshot: bytes) -> Any:
        present = self._services.backend(service)
        made = type(present)(present.region_name, present.account_id)
        with self._instead(service, made):  # so that the objects within refer to their own past
            moto_snapshot.read(self._services, service, snapshot)
        return made

    @contextmanager
    def _instead(self, service: str, backend: Any) -> Iterator[None]:
        setattr(self._in_place, service, backend)
        try:
            yield
        finally:
            delattr(self._in_place, service)


class _Account(AccountSpecificBackend[Any]):
    """An account's objects of a service by region, but for a thread that reads late."""

    def __init__(self, present: Any, service: str, in_place: threading.local) -> None:
        """Takes over what `present` holds; moto looks everything up here."""
        vars(self).update(vars(present))
        dict.update(self, present)
        self._service, self._in_place = service, in_place

    def __getitem__(self, region: str) -> Any:
        return getattr(self._in_place, self._service, None) or super().__getitem__(region)
