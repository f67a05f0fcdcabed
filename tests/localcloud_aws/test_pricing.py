"""Prices: the table against what AWS lists, the price list API and the spot price history through boto3."""

from decimal import Decimal

import pytest

from localcloud.aws.pricing import table


@pytest.mark.parametrize(
    ("instance_type", "usd"),
    [
        ("m5.24xlarge", "4.608"),
        ("m6a.large", "0.0864"),
        ("m6a.48xlarge", "8.2944"),
        ("m7a.medium", "0.05796"),
        ("c5.9xlarge", "1.53"),
        ("c7g.16xlarge", "2.32"),
        ("r6i.32xlarge", "8.064"),
        ("t3.micro", "0.0104"),
        ("t4g.2xlarge", "0.2688"),
        ("g5.12xlarge", "5.672"),
        ("m1.small", "0.044"),
    ],
)
def test_on_demand_prices_are_those_of_the_public_list(instance_type: str, usd: str) -> None:
    assert table.on_demand_usd(instance_type, "us-east-1") == Decimal(usd)
    assert table.on_demand_usd(instance_type, "us-west-2") == Decimal(usd)


@pytest.mark.parametrize("instance_type", ["", "m6a", "m6a.metal", "m6a.9xlarge", "p5.48xlarge", "m6a.large "])
def test_a_type_that_is_not_in_the_table_has_no_price(instance_type: str) -> None:
    assert table.on_demand_usd(instance_type, "us-east-1") is None
    assert table.spot_usd(instance_type, "us-east-1a") is None


def test_a_spot_machine_costs_less_everywhere_and_not_the_same_in_each_zone() -> None:
    for instance_type in table.priced_types():
        full = table.on_demand_usd(instance_type, "us-east-1")
        assert full is not None
        prices = [table.spot_usd(instance_type, f"us-east-1{zone}") for zone in "abcdef"]
        assert all(price is not None and 0 < price < full for price in prices), instance_type
        assert len(set(prices)) > 1, instance_type
