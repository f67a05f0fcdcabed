"""How new code reaches a group."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from headrace.declaring import Declared, Seconds

Bake = Annotated[Seconds, Field(ge=0)]
Percent = Annotated[int, Field(ge=1, le=100)]
BAKE_S = 300.0


class Rolling(Declared):
    """New fleet in growing shares of the group; each share is baked and judged."""

    type: Literal["rolling"] = "rolling"
    percents: tuple[Percent, ...] = (25, 50, 100)
    bake_s: Bake = BAKE_S

    @model_validator(mode="after")
    def _growing(self) -> Self:
        if list(self.percents) != sorted(set(self.percents)) or self.percents[-1:] != (100,):
            msg = f"percents {list(self.percents)} must grow and end at 100"
            raise ValueError(msg)
        return self


class Canary(Declared):
    """One judged share, then everything."""

    type: Literal["canary"] = "canary"
    percent: int = Field(default=10, ge=1, le=50)
    bake_s: Bake = BAKE_S


class BlueGreen(Declared):
    """A full new fleet, then one switch."""

    type: Literal["blue_green"] = "blue_green"
    bake_s: Bake = BAKE_S


class InPlace(Declared):
    """Instance refresh inside the fleet."""

    type: Literal["in_place"] = "in_place"
    bake_s: Bake = BAKE_S


Rollout = Annotated[Rolling | Canary | BlueGreen | InPlace, Field(discriminator="type")]
