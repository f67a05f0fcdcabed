"""What the Observer is configured with; the defaults are for production, `demo` is for the embedded stack."""

from socket import gethostname
from typing import Self

from pydantic import Field, model_validator

from services.observer.domain.activities import Limits
from services.observer.domain.group_health import HealthPolicy
from services.observer.domain.hysteresis import Confirmations
from services.observer.domain.loss import CloseRule
from shared.settings import ServiceSettings

_DEMO: dict[str, float] = {
    "tick_s": 2.0,
    "fast_window_s": 10.0,
    "slow_window_s": 30.0,
    "scrape_s": 1.0,
    "lag_burn_max": 2.0,
    "warm_up_s": 3.0,
    "launch_s_max": 60.0,
    "stall_s": 10.0,
    "sweep_s": 10.0,
    "call_deadline_s_max": 5.0,
    "signal_age_s_max": 15.0,
    "loss_wait_s": 15.0,
    "loss_stuck_s": 60.0,
    "alarm_pending_s": 2.0,
    "retry_s": 1.0,
    "retry_yield_s": 0.5,
    "park_ask_fresh_s": 6.0,
    "leader_ttl_s": 8.0,
}


class ObserverSettings(ServiceSettings):
    """Seconds unless said otherwise; under profile `demo` what is not set explicitly takes a short value."""

    database_schema: str = "observer"
    replica: str = Field(default_factory=gethostname, min_length=1)  # whose leadership it is; kept over restarts
    tick_s: float = Field(default=15.0, gt=0)
    scrape_s: float = Field(default=15.0, gt=0)  # how often nodes are scraped
    fast_window_s: float = Field(default=300.0, gt=0)
    slow_window_s: float = Field(default=1800.0, gt=0)
    lag_burn_max: float = Field(default=6.0, gt=0)  # times the 5 % of events that may exceed the lag SLO
    error_burn_max: float = Field(default=14.4, gt=0)  # times the share that may fail
    bad_share_max: float = Field(default=0.2, ge=0, lt=1)
    warm_up_s: float = Field(default=120.0, ge=0)
    launch_s_max: float = Field(default=600.0, ge=0)
    stall_s: float = Field(default=120.0, gt=0)
    sweep_s: float = Field(default=30.0, gt=0)
    call_deadline_s_max: float = Field(default=30.0, gt=0)
    signal_age_s_max: float = Field(default=60.0, gt=0)
    deployments_share_max: float = Field(default=0.05, gt=0, le=1)
    loss_wait_s: float = Field(default=180.0, ge=0)
    loss_stuck_s: float = Field(default=600.0, ge=0)
    alarm_pending_s: float = Field(default=30.0, ge=0)
    retry_s: float = Field(default=5.0, gt=0)
    retry_yield_s: float = Field(default=1.0, gt=0)
    park_ask_fresh_s: float = Field(default=30.0, gt=0)
    leader_ttl_s: float = Field(default=60.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _demo(cls, given: dict[str, object]) -> dict[str, object]:
        return {**_DEMO, **given} if given.get("profile") == "demo" else given

    @model_validator(mode="after")
    def _windows(self) -> Self:
        if self.fast_window_s >= self.slow_window_s:
            msg = f"fast_window_s {self.fast_window_s} must be below slow_window_s {self.slow_window_s}"
            raise ValueError(msg)
        return self

    @property
    def verdict_ttl_s(self) -> float:
        """Three ticks and the time that a scrape takes to be seen."""
        return 3 * self.tick_s + 2.0

    @property
    def limits(self) -> Limits:
        """Of admission."""
        return Limits(
            park_ask_fresh_s=self.park_ask_fresh_s,
            call_deadline_s_max=self.call_deadline_s_max,
            signal_age_s_max=self.signal_age_s_max,
            deployments_share_max=self.deployments_share_max,
            retry_s=self.retry_s,
            retry_yield_s=self.retry_yield_s,
        )

    @property
    def health(self) -> HealthPolicy:
        """Of verdicts."""
        return HealthPolicy(
            lag_burn_max=self.lag_burn_max,
            error_burn_max=self.error_burn_max,
            bad_share_max=self.bad_share_max,
            warm_up_s=self.warm_up_s,
            launch_s_max=self.launch_s_max,
            stall_s=self.stall_s,
            report_age_s_max=max(5.0, 3 * self.scrape_s),
            confirmations=Confirmations(),
        )

    @property
    def closing(self) -> CloseRule:
        """Of loss buckets."""
        return CloseRule(wait_s=self.loss_wait_s, stuck_s=self.loss_stuck_s)
