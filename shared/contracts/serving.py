"""What groups of kinds `feature` and `ingest` serve by themselves, outside of any pipeline: the user's intent.

Both stand on one base: batches over HTTP, an online store (Valkey, Redis), and a transform group that users' code runs in.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.contracts.base import Declared, Name


class OnlineStore(Declared):
    """Where the newest features of an entity are kept; the password is in a file on the node."""

    url: str = Field(pattern="^rediss?://[^@]+$", max_length=1000)
    username: str = Field(default="", max_length=200)
    password_file: str = Field(default="", max_length=1000)
    view: Name  # entities of one kind, with one set of features
    timeout_s: float = Field(default=0.5, gt=0, le=60)


class GroupCall(Declared):
    """A function of a transform group."""

    group: Name
    function: str = Field(default="transform", min_length=1, max_length=63)
    timeout_s: float = Field(default=2.0, gt=0, le=60)


class FeatureServing(Declared):
    """Features of entities from the store, with `defaults` for absent ones, passed through a transform group."""

    type: Literal["features"] = "features"
    store: OnlineStore
    transform: GroupCall | None = None
    defaults: dict[str, str | float | int | bool | None] = Field(default_factory=dict, max_length=1000)
    batch_max: int = Field(default=500, ge=1, le=5000)


class PushIngest(Declared):
    """Events pushed over HTTP, passed through a transform group, to a topic and the store: one or both."""

    type: Literal["push"] = "push"
    id_field: str = "id"
    time_field: str = "event_time"
    key_field: str | None = None
    transform: GroupCall | None = None
    topic: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]*$", max_length=249)  # made when it is missing
    store: OnlineStore | None = None
    entity_field: str = Field(default="id", min_length=1, max_length=200)  # whose features an output holds
    keep_s: float | None = Field(default=None, gt=0)  # features that nobody has pushed for so long are gone
    batch_max: int = Field(default=1000, ge=1, le=10_000)

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if not self.topic and self.store is None:
            msg = "events go nowhere: give a topic, a store, or both"
            raise ValueError(msg)
        return self


GroupServing = Annotated[FeatureServing | PushIngest, Field(discriminator="type")]
KIND_OF_SERVING = {"features": "feature", "push": "ingest"}
