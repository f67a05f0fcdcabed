"""Settings of the workflow worker."""

from shared.settings import ServiceSettings


class WorkflowSettings(ServiceSettings):
    """`drift_every_s` and `sweep_every_s` None: by the profile."""

    drift_every_s: float | None = None
    sweep_every_s: float | None = None

    @property
    def drift_s(self) -> float:
        """Seconds between two checks for drift."""
        return self.drift_every_s or (5.0 if self.is_demo else 60.0)

    @property
    def sweep_s(self) -> float:
        """Seconds between two sweeps."""
        return self.sweep_every_s or (10.0 if self.is_demo else 60.0)
