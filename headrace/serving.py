"""What feature and ingest groups serve by themselves, outside of pipelines: batches over HTTP through a transform group."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from headrace.declaring import Declared, Name, Seconds, name_of


class OnlineStore(Declared):
    """Where the newest features of an entity are kept (Valkey, Redis); the password is in a file on the node."""

    url: str = Field(pattern="^rediss?://[^@]+$", max_length=1000)
    username: str = Field(default="", max_length=200)
    password_file: str = Field(default="", max_length=1000)
    view: Name
    timeout_s: Annotated[Seconds, Field(gt=0, le=60)] = 0.5


class GroupCall(Declared):
    """A function of a transform group (an object or its name)."""

    group: Annotated[Name, BeforeValidator(name_of)]
    function: str = Field(default="transform", min_length=1, max_length=63)
    timeout_s: Annotated[Seconds, Field(gt=0, le=60)] = 2.0


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
    topic: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]*$", max_length=249)
    store: OnlineStore | None = None
    entity_field: str = Field(default="id", min_length=1, max_length=200)
    keep_s: Annotated[Seconds, Field(gt=0)] | None = None
    batch_max: int = Field(default=1000, ge=1, le=10_000)

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if not self.topic and self.store is None:
            msg = "events go nowhere: give a topic, a store, or both"
            raise ValueError(msg)
        return self


GroupServing = Annotated[FeatureServing | PushIngest, Field(discriminator="type")]
