"""What the Autoscaler can be configured with; the `demo` profile shortens the times for the embedded stack."""

from dataclasses import replace

from services.autoscaler.domain.policy import Limits, RateLimit
from shared.settings import ServiceSettings

DAY_S = 86_400.0


class AutoscalerSettings(ServiceSettings):
    """`HEADRACE_*`; a time that is not set follows the profile."""

    database_schema: str = "autoscaler"
    tick_s: float | None = None
    window_s: float | None = None
    catch_up_s: float | None = None
    retention_s: float = 14 * DAY_S  # of decisions and intents

    def limits(self) -> Limits:
        """The Autoscaler's numbers under this profile."""
        base = DEMO if self.is_demo else Limits()
        return replace(
            base,
            tick_s=self.tick_s or base.tick_s,
            window_s=self.window_s or base.window_s,
            catch_up_s=self.catch_up_s or base.catch_up_s,
        )


DEMO = Limits(
    tick_s=2.0,
    window_s=10.0,
    stale_after_s=8.0,
    catch_up_s=12.0,
    rate_out=RateLimit(nodes=4, percent=100.0, period_s=4.0),
    rate_in=RateLimit(nodes=1, percent=25.0, period_s=10.0),
    warmup_s=5.0,
    mass_loss_hold_s=60.0,
    ineffective_hold_s=60.0,
    refused_back_off_s=5.0,
    capacity_back_off_s=10.0,
    capacity_back_off_s_max=60.0,
    observation_gap_s=12.0,
)
