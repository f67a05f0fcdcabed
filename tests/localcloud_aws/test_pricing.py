"""Prices: the table against what AWS lists, the price list API and the spot price history through boto3."""

import json
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.aws.client import Control
from localcloud.aws.pricing import table
from tests.localcloud_aws.front import FrontProcess


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


def test_the_price_list_is_asked_as_boto3_asks_it(localcloud_aws: FrontProcess) -> None:
    prices = localcloud_aws.client("pricing")
    assert prices.describe_services(ServiceCode="AmazonEC2")["Services"][0]["ServiceCode"] == "AmazonEC2"
    values = prices.get_attribute_values(ServiceCode="AmazonEC2", AttributeName="regionCode")["AttributeValues"]
    assert [one["Value"] for one in values] == ["us-east-1", "us-east-2", "us-west-2"]
    filters = [
        {"Type": "TERM_MATCH", "Field": "instanceType", "Value": "m6a.large"},
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"},
        {"Type": "TERM_MATCH", "Field": "operatingSystem", "Value": "Linux"},
    ]
    (text,) = prices.get_products(ServiceCode="AmazonEC2", Filters=filters)["PriceList"]
    listed = json.loads(text)
    assert listed["product"]["attributes"]["memory"] == "8 GiB"
    (term,) = listed["terms"]["OnDemand"].values()
    (rate,) = term["priceDimensions"].values()
    assert (rate["unit"], Decimal(rate["pricePerUnit"]["USD"])) == ("Hrs", Decimal("0.0864"))
    nothing = [{"Type": "TERM_MATCH", "Field": "instanceType", "Value": "m6a.huge"}]
    assert prices.get_products(ServiceCode="AmazonEC2", Filters=nothing)["PriceList"] == []


def test_the_price_list_has_pages_and_each_product_once(localcloud_aws: FrontProcess) -> None:
    only = [{"Type": "ANY_OF", "Field": "regionCode", "Value": "us-east-1,mars"}]
    pages = localcloud_aws.client("pricing").get_paginator("get_products")
    texts = [one for page in pages.paginate(ServiceCode="AmazonEC2", Filters=only) for one in page["PriceList"]]
    types = [json.loads(text)["product"]["attributes"]["instanceType"] for text in texts]
    assert tuple(types) == table.priced_types()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"ServiceCode": "AmazonMars"}, "NotFoundException"),
        ({"ServiceCode": "AmazonEC2", "NextToken": "?"}, "InvalidNextTokenException"),
        ({"ServiceCode": "AmazonEC2", "MaxResults": 1000}, "InvalidParameterException"),
        ({"ServiceCode": "AmazonEC2", "FormatVersion": "v9"}, "InvalidParameterException"),
        (
            {"ServiceCode": "AmazonEC2", "Filters": [{"Type": "LIKE", "Field": "a", "Value": "b"}]},
            "InvalidParameterException",
        ),
    ],
)
def test_what_the_price_list_refuses(localcloud_aws: FrontProcess, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as refusal:
        localcloud_aws.client("pricing").get_products(**asked)
    assert refusal.value.response["Error"]["Code"] == code


def test_spot_prices_are_told_by_type_and_zone_and_a_fault_moves_them(localcloud_aws: FrontProcess) -> None:
    ec2 = localcloud_aws.client("ec2")
    asked = {"InstanceTypes": ["c5.large", "m6a.large"], "ProductDescriptions": ["Linux/UNIX"]}
    pages = ec2.get_paginator("describe_spot_price_history").paginate(**asked, PaginationConfig={"PageSize": 5})
    told = {
        (one["InstanceType"], one["AvailabilityZone"]): Decimal(one["SpotPrice"])
        for page in pages
        for one in page["SpotPriceHistory"]
    }
    assert len(told) == 12
    assert told["m6a.large", "us-east-1b"] == table.spot_usd("m6a.large", "us-east-1b")
    one = {**asked, "AvailabilityZone": "us-east-1a", "InstanceTypes": ["c5.large"]}
    with Control(localcloud_aws.url) as control:
        with control.fault("spot-price", 600, instance_type="c5.large", zone="us-east-1a", factor=2):
            (dear,) = ec2.describe_spot_price_history(**one)["SpotPriceHistory"]
            assert Decimal(dear["SpotPrice"]) == told["c5.large", "us-east-1a"] * 2
        (cheap,) = ec2.describe_spot_price_history(**one)["SpotPriceHistory"]
    assert Decimal(cheap["SpotPrice"]) == told["c5.large", "us-east-1a"]
    with pytest.raises(ClientError, match="MaxResults"):
        ec2.describe_spot_price_history(MaxResults=100_000)
    (described,) = ec2.describe_instance_types(InstanceTypes=["m6a.large"])["InstanceTypes"]
    assert described["VCpuInfo"]["DefaultVCpus"] == table.processors("m6a.large")
