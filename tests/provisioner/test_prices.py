"""AWS's price list through the adapter and the embedded AWS."""

from decimal import Decimal

import pytest

from localcloud.aws.client import Control
from services.provisioner.adapters.aws_prices import KEPT, AwsPrices
from services.provisioner.domain.warnings import NodePrice
from shared.domain.errors import HeadraceError
from tests.provisioner.clocks import StillClock

pytestmark = pytest.mark.timeout(120)
SMALL = NodePrice(2, Decimal("0.0864"))


async def test_a_price_is_read_once_a_day_and_what_is_not_listed_has_none(cloud: dict[str, str]) -> None:
    clock = StillClock()
    prices = AwsPrices(clock)
    assert await prices.of("m6a.large") == SMALL
    assert await prices.of("m6a.enormous") is None
    with Control(cloud["AWS_ENDPOINT_URL"]) as control, control.fault("unavailable", 600, service="pricing"):
        assert await prices.of("m6a.large") == SMALL
        assert await prices.of("m6a.enormous") is None
        clock.pass_s(KEPT.total_seconds() + 1)
        with pytest.raises(HeadraceError, match=r"the price of m6a\.large"):
            await prices.of("m6a.large")
    assert await prices.of("m6a.large") == SMALL


async def test_a_region_that_the_list_does_not_have(cloud: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cloud["AWS_REGION"] == "us-east-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert await AwsPrices(StillClock()).of("m6a.large") is None
