"""Reads that lag behind writes, as AWS's may: a describe answers from what the groups were some seconds ago."""

import copy
from collections import deque
from dataclasses import replace

from localcloud.aws.autoscaling.records import Group
from localcloud.aws.autoscaling.world import World

CHANGES_MAX = 10_000


class DelayedReads:
    """Keeps a second world, to which each change comes `delay_s` later."""

    def __init__(self, world: World, delay_s: float) -> None:
        """No delay: reads see the world itself, and nothing is copied."""
        self._world, self._delay_s = world, delay_s
        self._seen: dict[str, Group] = copy.deepcopy(world.groups) if delay_s else {}
        self._coming: deque[tuple[float, str, Group | None]] = deque(maxlen=CHANGES_MAX)

    def note(self, names: set[str]) -> None:
        """These groups have just been changed."""
        if not self._delay_s:
            return
        visible_at = self._world.clock.now() + self._delay_s
        for name in names:
            self._coming.append((visible_at, name, copy.deepcopy(self._world.groups.get(name))))

    def view(self) -> World:
        """The world as a read sees it now."""
        if not self._delay_s:
            return self._world
        now = self._world.clock.now()
        while self._coming and self._coming[0][0] <= now:
            _, name, group = self._coming.popleft()
            if group is None:
                self._seen.pop(name, None)
            else:
                self._seen[name] = group
        return replace(self._world, groups=self._seen)
