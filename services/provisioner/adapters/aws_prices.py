"""AWS's price list: what a machine of a type costs on demand in our region, read once a day for each type."""

import asyncio
import json
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from services.provisioner.domain.warnings import NodePrice
from shared.aws.clients import aws_client, aws_error
from shared.domain.clock import Clock
from shared.domain.errors import Unavailable

LIST_REGION = "us-east-1"  # the price list is served in a few regions only, each for all
KEPT = timedelta(days=1)
TYPES_KEPT_MAX = 1_000


class AwsPrices:
    """`Prices`."""

    def __init__(self, clock: Clock) -> None:
        """The region is that of this process."""
        self._clock = clock
        self._known: dict[str, tuple[datetime, NodePrice | None]] = {}

    async def of(self, node_type: str) -> NodePrice | None:
        """From the list, unless it was asked within a day."""
        now = self._clock.now()
        read_at, price = self._known.get(node_type, (None, None))
        if read_at is not None and now - read_at < KEPT:
            return price
        try:
            price = await asyncio.to_thread(_read, node_type)
        except (BotoCoreError, ClientError) as e:
            raise aws_error(e, f"the price of {node_type}") from e
        if len(self._known) >= TYPES_KEPT_MAX:
            self._known.clear()
        self._known[node_type] = (now, price)
        return price


def _read(node_type: str) -> NodePrice | None:
    wanted = {
        "instanceType": node_type,
        "regionCode": aws_client("autoscaling").meta.region_name,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    answer = aws_client("pricing", LIST_REGION).get_products(
        ServiceCode="AmazonEC2",
        FormatVersion="aws_v1",
        Filters=[{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()],
    )
    prices = [price for text in answer["PriceList"] if (price := _price(node_type, json.loads(text))) is not None]
    return prices[0] if prices else None


def _price(node_type: str, listed: dict[str, Any]) -> NodePrice | None:
    """What the list says of a machine; None when it is not sold by the hour, on demand, in USD."""
    try:
        vcpus = int(listed["product"]["attributes"]["vcpu"])
        rates = [
            Decimal(rate["pricePerUnit"]["USD"])
            for term in listed["terms"].get("OnDemand", {}).values()
            for rate in term["priceDimensions"].values()
            if rate["unit"] == "Hrs" and "USD" in rate["pricePerUnit"]
        ]
    except (KeyError, TypeError, ValueError, InvalidOperation) as e:
        raise Unavailable(f"the price of {node_type}: AWS's list has another form than is known: {e}") from e
    return NodePrice(vcpus, rates[0]) if rates else None
