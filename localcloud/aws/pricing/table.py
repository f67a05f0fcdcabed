"""The table of prices, in USD an hour: on demand by instance type and region, spot by instance type and zone.

This file, `localcloud/aws/pricing/table.py`, is the one place of them: `on_demand_usd` and `spot_usd` are asked by the price list API, by
DescribeSpotPriceHistory, and by whoever chooses among pools.

On demand: AWS's public price list for Linux, shared tenancy, of AS_OF. Within a family prices are proportional to the processors, so that
one number a family says them all (to AWS's rounding); the families where they are not are listed type by type. us-east-1,
us-east-2 and us-west-2 have the same list; other regions are not in the table.

Spot: AWS publishes no list, and the prices move. Here each family has a share of its on-demand price and each zone a factor, of the
order that DescribeSpotPriceHistory tells, and they stand still (a fault of kind `spot-price` moves them): enough to tell a cheap pool from
a dear one, no record of the market.
"""

from decimal import Decimal

from moto.ec2.models.instance_types import INSTANCE_TYPES

AS_OF = "2026-01-19T00:00:00Z"
REGIONS = {
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-2": "US West (Oregon)",
}
PER_PROCESSOR = {  # half of what the family's `large` costs
    "m4": "0.05",
    "m5": "0.048",
    "m5a": "0.043",
    "m5d": "0.0565",
    "m5n": "0.0595",
    "m6a": "0.0432",
    "m6i": "0.048",
    "m6id": "0.059325",
    "m7a": "0.05796",
    "m7i": "0.0504",
    "c5": "0.0425",
    "c5a": "0.0385",
    "c5d": "0.048",
    "c5n": "0.054",
    "c6a": "0.03825",
    "c6i": "0.0425",
    "c6in": "0.0567",
    "c7a": "0.05132",
    "c7i": "0.044625",
    "r5": "0.063",
    "r5a": "0.0565",
    "r6a": "0.0567",
    "r6i": "0.063",
    "r7a": "0.076075",
    "r7i": "0.06615",
}
PER_GRAVITON_PROCESSOR = {  # the same, where a processor is a core
    "m6g": "0.0385",
    "m7g": "0.0408",
    "m8g": "0.04488",
    "c6g": "0.034",
    "c7g": "0.03625",
    "c8g": "0.03988",
    "r6g": "0.0504",
    "r7g": "0.05355",
    "r8g": "0.05891",
}
BURSTABLE_SIZES = ("nano", "micro", "small", "medium", "large", "xlarge", "2xlarge")
BURSTABLE = {  # by BURSTABLE_SIZES
    "t2": ("0.0058", "0.0116", "0.023", "0.0464", "0.0928", "0.1856", "0.3712"),
    "t3": ("0.0052", "0.0104", "0.0208", "0.0416", "0.0832", "0.1664", "0.3328"),
    "t3a": ("0.0047", "0.0094", "0.0188", "0.0376", "0.0752", "0.1504", "0.3008"),
    "t4g": ("0.0042", "0.0084", "0.0168", "0.0336", "0.0672", "0.1344", "0.2688"),
}
LISTED = {
    **{
        f"{family}.{size}": usd
        for family, prices in BURSTABLE.items()
        for size, usd in zip(BURSTABLE_SIZES, prices, strict=True)
    },
    "m1.small": "0.044",
    "m1.medium": "0.087",
    "m1.large": "0.175",
    "m1.xlarge": "0.35",
    "g4dn.xlarge": "0.526",
    "g4dn.2xlarge": "0.752",
    "g4dn.4xlarge": "1.204",
    "g4dn.8xlarge": "2.176",
    "g4dn.12xlarge": "3.912",
    "g4dn.16xlarge": "4.352",
    "g5.xlarge": "1.006",
    "g5.2xlarge": "1.212",
    "g5.4xlarge": "1.624",
    "g5.8xlarge": "2.448",
    "g5.12xlarge": "5.672",
    "g5.16xlarge": "4.096",
    "g5.24xlarge": "8.144",
    "g5.48xlarge": "16.288",
}
SPOT_SHARE = {  # of the on-demand price, in us-east-1's zone a; the families that are not named have SPOT_SHARE_ELSE
    "m4": "0.46", "m5": "0.43", "m5a": "0.45", "m6a": "0.38", "m6i": "0.41", "m7a": "0.36", "m7i": "0.42",
    "m6g": "0.37", "m7g": "0.39", "c5": "0.45", "c5a": "0.42", "c6a": "0.39", "c6i": "0.43", "c7a": "0.35",
    "c7i": "0.41", "r5": "0.40", "r5a": "0.37", "r6a": "0.33", "r6i": "0.36", "r7i": "0.34", "t3": "0.36", "t3a": "0.38",
}  # fmt: skip
SPOT_SHARE_ELSE = Decimal("0.40")
ZONE_FACTOR = {"a": "1.00", "b": "0.96", "c": "1.05", "d": "0.98", "e": "1.10", "f": "1.02"}
CENTS = Decimal("0.000001")  # USD; what AWS's lists are written to


def on_demand_usd(instance_type: str, region: str) -> Decimal | None:
    """An hour of a machine; None when the type or the region is not in the table.

    >>> on_demand_usd("m6a.2xlarge", "us-east-1"), on_demand_usd("t3.micro", "us-west-2"), on_demand_usd("m6a.large", "mars")
    (Decimal('0.345600'), Decimal('0.010400'), None)
    """
    if region not in REGIONS or instance_type not in INSTANCE_TYPES:
        return None
    if instance_type in LISTED:
        return Decimal(LISTED[instance_type]).quantize(CENTS)
    family, _, size = instance_type.partition(".")
    share = PER_PROCESSOR.get(family) or PER_GRAVITON_PROCESSOR.get(family)
    if share is None or size.startswith("metal"):
        return None
    return (Decimal(share) * processors(instance_type)).quantize(CENTS)


def spot_usd(instance_type: str, zone: str, factor: float = 1.0) -> Decimal | None:
    """An hour of a spot machine in a zone, never more than on demand; None when the table does not have it.

    >>> spot_usd("m6a.large", "us-east-1b"), spot_usd("m6a.large", "us-east-1b", 9.0), spot_usd("x9.large", "us-east-1b")
    (Decimal('0.031519'), Decimal('0.086400'), None)
    """
    full = on_demand_usd(instance_type, zone[:-1])
    if full is None or zone[-1:] not in ZONE_FACTOR:
        return None
    share = Decimal(SPOT_SHARE.get(instance_type.partition(".")[0], SPOT_SHARE_ELSE))
    return min(full, (full * share * Decimal(ZONE_FACTOR[zone[-1]]) * Decimal(str(factor))).quantize(CENTS))


def processors(instance_type: str) -> int:
    """The vCPU of a type that EC2 has."""
    return int(INSTANCE_TYPES[instance_type]["VCpuInfo"]["DefaultVCpus"])


def memory_gib(instance_type: str) -> Decimal:
    """Its memory."""
    return Decimal(int(INSTANCE_TYPES[instance_type]["MemoryInfo"]["SizeInMiB"])) / 1024


def priced_types() -> tuple[str, ...]:
    """All types of the table, in order."""
    return tuple(sorted(one for one in INSTANCE_TYPES if on_demand_usd(one, "us-east-1") is not None))
