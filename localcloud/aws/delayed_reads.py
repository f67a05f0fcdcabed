"""Reads that lag behind writes, as AWS's may: a describe answers from what the groups were some seconds ago."""

import copy
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from localcloud.aws.autoscaling.records import Group
from localcloud.aws.autoscaling.world import World

CHANGES_MAX = 10_000


class DelayedReads:
    """Keeps a second world while reads are late, to which each change comes so much later."""

    def __init__(self, world: World, delay_s: Callable[[], float]) -> None:
        """While `delay_s` says 0, reads see the world itself, and nothing is copied."""
        self._world, self._delay_s = world, delay_s
        self._seen: dict[str, Group] | None = None
        self._coming: deque[tuple[float, str, Group | None]] = deque()

    def follow(self) -> None:
        """Reads may have begun to be late, or ceased. What is when they begin is what they see at first."""
        if not self._delay_s():
            self._seen = None
            self._coming.clear()
        elif self._seen is None:
            self._seen = copy.deepcopy(self._world.groups)

    def note(self, names: set[str]) -> None:
        """These groups have just been changed."""
        self.follow()
        if self._seen is None:
            return
        visible_at = self._world.clock.now() + self._delay_s()
        for name in names:
            if len(self._coming) >= CHANGES_MAX:
                self._show_next(self._seen)  # earlier than it should be, rather than never
            self._coming.append((visible_at, name, copy.deepcopy(self._world.groups.get(name))))

    def view(self) -> World:
        """The world as a read sees it now."""
        if self._seen is None or not self._delay_s():
            return self._world
        while self._coming and self._coming[0][0] <= self._world.clock.now():
            self._show_next(self._seen)
        return replace(self._world, groups=self._seen)

    def _show_next(self, seen: dict[str, Group]) -> None:
        _, name, group = self._coming.popleft()
        if group is None:
            seen.pop(name, None)
        else:
            seen[name] = group
