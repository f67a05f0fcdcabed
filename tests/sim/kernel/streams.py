"""Randomness by purpose: each has a stream of its own, so that taking one fault away leaves the others as they were."""

import random


class Streams:
    """`of("net/a/b")` is the same stream in every run of the seed, whoever else draws."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._known: dict[str, random.Random] = {}

    def of(self, purpose: str) -> random.Random:
        """The purpose's stream; asking again goes on with it."""
        stream = self._known.get(purpose)
        if stream is None:
            stream = self._known[purpose] = random.Random(f"{self._seed}/{purpose}")
        return stream
