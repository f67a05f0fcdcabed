"""How long machines take to boot: always the same, or lognormal with a median and a 99th percentile that are named."""

import math
import random
from dataclasses import dataclass

Z_99 = 2.3263478740408408  # the standard normal distribution's 99th percentile
SECONDS_MAX = 3600.0


class BootTimeUnreadableError(ValueError):
    """A boot time that is not one; the text says what it may be."""


@dataclass(slots=True, frozen=True)
class BootTime:
    """Seconds. ln(time) is normal: its mean is ln(p50), its deviation ln(p99 / p50) / Z_99."""

    p50_s: float = 0.0
    p99_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "BootTime":
        """A number of seconds, or lognormal:P50:P99; BootTimeUnreadableError.

        >>> BootTime.parse("40"), BootTime.parse("lognormal:40:120")
        (BootTime(p50_s=40.0, p99_s=40.0), BootTime(p50_s=40.0, p99_s=120.0))
        """
        kind, *parts = text.split(":")
        numbers = parts if kind == "lognormal" else [text, text]
        try:
            p50, p99 = (float(one) for one in numbers)
        except ValueError as error:
            raise BootTimeUnreadableError(f"{text}: say seconds, such as 40, or lognormal:P50:P99") from error
        least = 0.0 if kind != "lognormal" else math.nextafter(0.0, 1.0)
        if not least <= p50 <= p99 <= SECONDS_MAX:
            raise BootTimeUnreadableError(f"{text}: it must be 0 to {SECONDS_MAX:g} s, and P50 at most P99")
        return cls(p50, p99)

    def sample(self, chance: random.Random) -> float:
        """One machine's; at most SECONDS_MAX."""
        if self.p50_s == self.p99_s:
            return self.p50_s
        drawn = self.p50_s * math.exp(chance.gauss(0.0, 1.0) * math.log(self.p99_s / self.p50_s) / Z_99)
        return min(SECONDS_MAX, drawn)
