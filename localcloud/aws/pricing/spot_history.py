"""EC2's DescribeSpotPriceHistory, from the table of prices: one price for each type and zone, since the table's date."""

from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

from moto.ec2.models.instance_types import INSTANCE_TYPES

from localcloud.aws.errors import AwsError
from localcloud.aws.pricing import table

PRODUCT = "Linux/UNIX"
RESULTS_MAX = 1_000
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
FILTERS = ("availability-zone", "instance-type", "product-description", "spot-price", "timestamp")


def answer(form: Mapping[str, str], zones: list[str], factor: Callable[[str, str], float], request_id: str) -> str:
    """The XML of a page; `zones` of the region, `factor` moves the price of a type in a zone. AwsError."""
    wanted = _wanted(form)
    types = [one for one in wanted["instance-type"] or table.priced_types() if one in INSTANCE_TYPES]
    found = []
    for instance_type in types:
        for zone in zones:
            price = table.spot_usd(instance_type, zone, factor(instance_type, zone))
            if price is None or not _concerns(wanted, zone, str(price)):
                continue
            found.append((instance_type, zone, str(price)))
    start, most = _number(form, "NextToken", 0, 0, len(found)), _number(form, "MaxResults", RESULTS_MAX, 1, RESULTS_MAX)
    page, end = found[start : start + most], start + most
    items = "".join(
        f"<item><instanceType>{escape(one)}</instanceType><productDescription>{PRODUCT}</productDescription>"
        f"<spotPrice>{price}</spotPrice><timestamp>{table.AS_OF}</timestamp>"
        f"<availabilityZone>{escape(zone)}</availabilityZone></item>"
        for one, zone, price in page
    )
    token = str(end) if end < len(found) else ""
    return (
        f'<DescribeSpotPriceHistoryResponse xmlns="{NAMESPACE}"><requestId>{request_id}</requestId>'
        f"<spotPriceHistorySet>{items}</spotPriceHistorySet><nextToken>{token}</nextToken>"
        "</DescribeSpotPriceHistoryResponse>"
    )


def _wanted(form: Mapping[str, str]) -> dict[str, list[str]]:
    """The values of each filter, however it was given; without any there is none."""
    wanted: dict[str, list[str]] = {name: [] for name in FILTERS}
    wanted["instance-type"] += _members(form, "InstanceType")
    wanted["product-description"] += _members(form, "ProductDescription")
    wanted["availability-zone"] += [form["AvailabilityZone"]] if form.get("AvailabilityZone") else []
    for key, name in form.items():
        if key.startswith("Filter.") and key.endswith(".Name"):
            if name not in FILTERS:
                raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
            wanted[name] += _members(form, key.removesuffix("Name") + "Value")
    return wanted


def _members(form: Mapping[str, str], name: str) -> list[str]:
    return [value for key, value in form.items() if key.startswith(f"{name}.") and key[len(name) + 1 :].isdigit()]


def _concerns(wanted: Mapping[str, list[str]], zone: str, price: str) -> bool:
    products = wanted["product-description"]
    return (
        (not wanted["availability-zone"] or zone in wanted["availability-zone"])
        and (not products or PRODUCT in products or f"{PRODUCT} (Amazon VPC)" in products)
        and (not wanted["spot-price"] or price in wanted["spot-price"])
        and (not wanted["timestamp"] or table.AS_OF in wanted["timestamp"])
    )


def _number(form: Mapping[str, str], name: str, otherwise: int, least: int, most: int) -> int:
    text = form.get(name) or str(otherwise)
    if not text.isdigit() or not least <= int(text) <= most:
        raise AwsError("InvalidParameterValue", f"{name} must be a number from {least} to {most}: {text[:40]}")
    return int(text)
