"""Server groups: N machines of one kind running one environment."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from headrace.declaring import HeadraceObject, Name, name_of
from headrace.rollouts import Rolling, Rollout
from headrace.scaling import Autoscaling, ProvisionedScaling, Slo
from headrace.serving import GroupServing

Scaling = Annotated[ProvisionedScaling | Autoscaling, Field(discriminator="type")]
SHA256_HEX = 64


class ServerGroup(HeadraceObject):
    """`environment` is an Environment or its name; `code` a folder (relative to the declaring file) or a sha256.

    A folder is packed and uploaded by `plan` and `apply`, which put its sha256 in its place.
    """

    kind: str
    environment: Annotated[Name | None, BeforeValidator(name_of)] = None
    code: Annotated[str | None, BeforeValidator(lambda v: str(v) if isinstance(v, Path) else v)] = None
    node_type: str = "m6a.large"
    scaling: Scaling
    rollout: Rollout = Rolling()
    slo: Slo = Slo()
    variables: dict[str, str] = Field(default_factory=dict, max_length=64)
    serving: GroupServing | None = None

    @model_validator(mode="after")
    def _code_needs_environment(self) -> Self:
        if self.code and not self.environment:
            msg = f"group {self.name!r} has code but no environment: name the environment that the code runs in"
            raise ValueError(msg)
        return self

    @property
    def code_folder(self) -> Path | None:
        """The folder to pack; None when there is no code, or when `code` is a sha256 already."""
        if not self.code or (len(self.code) == SHA256_HEX and set(self.code) <= set("0123456789abcdef")):
            return None
        return self.folder / self.code


class TransformServerGroup(ServerGroup):
    """Runs users' `@transform` code."""

    kind: Literal["transform"] = "transform"


class FeatureServerGroup(ServerGroup):
    """Serves features: `serving=FeatureServing(...)`."""

    kind: Literal["feature"] = "feature"


class IngestServerGroup(ServerGroup):
    """Takes events in over HTTP: for a pipeline's ingest stage, or by itself with `serving=PushIngest(...)`."""

    kind: Literal["ingest"] = "ingest"


class StageServerGroup(ServerGroup):
    """Runs a stage of Headrace's own: normalize, transmit."""

    kind: Literal["stage"] = "stage"


GROUPS: dict[str, type[ServerGroup]] = {
    "transform": TransformServerGroup,
    "feature": FeatureServerGroup,
    "ingest": IngestServerGroup,
    "stage": StageServerGroup,
}


def group_of(spec: dict[str, Any]) -> ServerGroup:
    """The class that a spec's `kind` names."""
    return GROUPS[spec["kind"]](**spec)
