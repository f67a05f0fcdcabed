"""What the Deployer can be configured with; the `demo` profile judges on less, because its windows are short."""

from services.deployer.domain.judge import JudgePolicy
from shared.settings import ServiceSettings


class DeployerSettings(ServiceSettings):
    """`HEADRACE_*`; a number that is not set follows the profile."""

    database_schema: str = "deployer"
    judge_messages_min: float | None = None
    judge_slow_ratio_max: float | None = None
    judge_error_effect_min: float | None = None

    def policy(self) -> JudgePolicy:
        """The judge's numbers under this profile."""
        base = JudgePolicy(messages_min=100.0, idle_after_s=5.0, little_after_s=20.0) if self.is_demo else JudgePolicy()
        return JudgePolicy(
            messages_min=self.judge_messages_min or base.messages_min,
            chance_max=base.chance_max,
            error_effect_min=self.judge_error_effect_min or base.error_effect_min,
            slow_ratio_max=self.judge_slow_ratio_max or base.slow_ratio_max,
            slow_effect_s_min=base.slow_effect_s_min,
            idle_after_s=base.idle_after_s,
            little_after_s=base.little_after_s,
        )
