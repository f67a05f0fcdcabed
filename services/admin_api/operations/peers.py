"""The questions that the admin API asks the four services, and what stands for an answer that did not come."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from services.admin_api.operations.views import ReasonView
from shared.contracts.admission import ActivityModel, AlarmModel, BeginAnswer, BeginInput, VerdictModel
from shared.contracts.dead_letters import DeadLetter, DeadLetters
from shared.contracts.deployment import DeploymentModel
from shared.contracts.node import Routes
from shared.contracts.objects import ServerGroup
from shared.contracts.provisioning import DriftFinding, EnvironmentModel, GroupModel, PipelineModel
from shared.contracts.rating import RatingModel
from shared.contracts.scaling import DecisionModel
from shared.domain.errors import HeadraceError, NotFound

Answer = TypeVar("Answer")


class Observer(Protocol):
    """Health and admission."""

    async def begin(self, request: BeginInput) -> BeginAnswer: ...  # noqa: D102  as in shared.clients.observer
    async def verdict(self, scope: str) -> VerdictModel: ...  # noqa: D102
    async def verdicts(self, prefix: str = "") -> list[VerdictModel]: ...  # noqa: D102
    async def activities(  # noqa: D102
        self, scope: str = "", *, include_ended: bool = False, limit: int = 100
    ) -> list[ActivityModel]: ...
    async def alarms(self, scope: str = "", *, include_resolved: bool = False) -> list[AlarmModel]: ...  # noqa: D102
    async def quiet(  # noqa: D102, PLR0913
        self, scope: str, classes: tuple[str, ...], seconds: float, holder: str, reason: str, request_id: str
    ) -> str: ...
    async def freeze(  # noqa: D102, PLR0913
        self, scope: str, seconds: float, holder: str, reason: str, request_id: str, *, lift: bool = False
    ) -> str: ...


class Deployer(Protocol):
    """Deployments and revisions."""

    async def deployment(self, deployment_id: str) -> DeploymentModel: ...  # noqa: D102
    async def deployments(self, group: str = "", limit: int = 50) -> list[DeploymentModel]: ...  # noqa: D102
    async def revisions(self, group: str) -> list[Any]: ...  # noqa: D102


class Provisioner(Protocol):
    """Groups, pipelines, environments, routes, ramps, drift."""

    async def group(self, name: str) -> GroupModel: ...  # noqa: D102
    async def inventory(self) -> tuple[list[GroupModel], list[PipelineModel]]: ...  # noqa: D102
    async def environments(self) -> list[EnvironmentModel]: ...  # noqa: D102
    async def drift(self, group: str = "", *, include_repaired: bool = False) -> list[DriftFinding]: ...  # noqa: D102
    async def dead_letters(  # noqa: D102
        self, pipeline: str, stage: str, limit: int = 100, reason: str = "", *, include_redriven: bool = False
    ) -> DeadLetters: ...
    async def dead_letter(self, pipeline: str, stage: str, offset: int) -> DeadLetter: ...  # noqa: D102
    async def routes(self, group: str) -> Routes: ...  # noqa: D102
    async def ramp(self, pipeline: str) -> tuple[int, str]: ...  # noqa: D102
    async def plan_group(self, spec: ServerGroup) -> tuple[list[str], list[str]]: ...  # noqa: D102


class Autoscaler(Protocol):
    """Decisions and ratings."""

    async def explain(self, group: str) -> tuple[DecisionModel, float | None, dict[str, int]]: ...  # noqa: D102
    async def decisions(self, group: str, limit: int = 50) -> list[DecisionModel]: ...  # noqa: D102
    async def ratings(self, group: str, limit: int = 20) -> list[RatingModel]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Peers:
    """The other four corners, as seen from here."""

    observer: Observer
    deployer: Deployer
    provisioner: Provisioner
    autoscaler: Autoscaler


@dataclass(slots=True)
class Asked:
    """Collects why answers did not come, so that a read shows what it could not see and never fails for it."""

    unanswered: list[ReasonView] = field(default_factory=list)

    async def of(self, service: str, question: Awaitable[Answer]) -> Answer | None:
        """The answer; None when the service does not answer, and the reason is kept. NotFound is an answer: None."""
        try:
            return await question
        except NotFound:
            return None
        except HeadraceError as e:
            code = f"{service.capitalize()}{e.code}"
            reason = ReasonView(
                code=code, scope=f"service/{service}", text=f"the {service.capitalize()} did not answer: {e}"
            )
            if all(r.scope != reason.scope for r in self.unanswered):
                self.unanswered.append(reason)
            return None


async def together(first: Awaitable[Any], *others: Awaitable[Any]) -> list[Any]:
    """Ask at once, wait for all; questions wrapped by `Asked.of` do not raise."""
    return list(await asyncio.gather(first, *others))
