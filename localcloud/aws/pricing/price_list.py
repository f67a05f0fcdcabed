"""AWS's price list service: DescribeServices, GetAttributeValues and GetProducts, of the machines of one region's table.

Products and prices have the form that AWS's own have, down to the JSON texts within the JSON; everything that is asked for and is not
in the table is simply not found, as there. Only EC2's machines on demand are in the list.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import botocore.loaders
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from moto.ec2.models.instance_types import INSTANCE_TYPES

from localcloud.aws.errors import AwsError
from localcloud.aws.pricing import table

SERVICE = "pricing"
EC2 = "AmazonEC2"
FORMAT = "aws_v1"
RESULTS_MAX = 100
FILTERS_MAX = 50
TOKEN_CHARACTERS_MAX = 200
ON_DEMAND_TERM, HOURLY_RATE = "JRTCKXETXF", "6YS6EN2CT7"  # AWS's codes of "on demand" and "by the hour"
FAMILIES = {"c": "Compute optimized", "g": "GPU instance", "r": "Memory optimized"}
Attributes = Mapping[str, str]
MATCHES: Mapping[str, Callable[[str, str], bool]] = {  # (of the filter, of the product)
    "TERM_MATCH": lambda wanted, value: wanted == value,
    "EQUALS": lambda wanted, value: wanted == value,
    "CONTAINS": lambda wanted, value: wanted in value,
    "ANY_OF": lambda wanted, value: value in wanted.split(","),
    "NONE_OF": lambda wanted, value: value not in wanted.split(","),
}


def reply(action: str, content: bytes) -> str:
    """The answer to one call, as JSON; AwsError."""
    asked = _parameters(action, content)
    match action:
        case "DescribeServices":
            return json.dumps(_services(asked))
        case "GetAttributeValues":
            return json.dumps(_attribute_values(asked))
        case _:
            return json.dumps(_products(asked))


def attributes(instance_type: str, region: str) -> Attributes:
    """What the list says of a machine in a region."""
    described = INSTANCE_TYPES[instance_type]
    return {
        "instanceType": instance_type,
        "regionCode": region,
        "location": table.REGIONS[region],
        "locationType": "AWS Region",
        "servicecode": EC2,
        "servicename": "Amazon Elastic Compute Cloud",
        "instanceFamily": FAMILIES.get(instance_type[0], "General purpose"),
        "currentGeneration": "Yes" if described["CurrentGeneration"] else "No",
        "vcpu": str(table.processors(instance_type)),
        "memory": f"{table.memory_gib(instance_type):f} GiB",
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
        "licenseModel": "No License required",
        "marketoption": "OnDemand",
        "operation": "RunInstances",
        "usagetype": f"BoxUsage:{instance_type}",
    }


@lru_cache(maxsize=1)
def _model() -> ServiceModel:
    return ServiceModel(botocore.loaders.Loader().load_service_model(SERVICE, "service-2"), SERVICE)


def _parameters(action: str, content: bytes) -> dict[str, Any]:
    if action not in {"DescribeServices", "GetAttributeValues", "GetProducts"}:
        raise AwsError("UnknownOperationException", f"The price list of this stand-in has no {action or '(none)'}.")
    try:
        asked = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise AwsError("SerializationException", "The body is not JSON.") from error
    if not isinstance(asked, dict):
        raise AwsError("SerializationException", "The body must be a JSON object.")
    report = ParamValidator().validate(asked, _model().operation_model(action).input_shape)
    if report.has_errors():
        raise AwsError("InvalidParameterException", report.generate_report())
    most = asked.get("MaxResults", RESULTS_MAX)
    if not 1 <= most <= RESULTS_MAX:
        raise AwsError("InvalidParameterException", f"MaxResults must be 1 to {RESULTS_MAX}: {most}")
    if asked.get("FormatVersion", FORMAT) != FORMAT:
        raise AwsError("InvalidParameterException", f"FormatVersion must be {FORMAT}: {asked['FormatVersion']}")
    return asked


def _services(asked: Mapping[str, Any]) -> dict[str, Any]:
    _check_service(asked.get("ServiceCode", EC2))
    names = sorted(attributes("m6a.large", next(iter(table.REGIONS))))
    return {"FormatVersion": FORMAT, "Services": [{"ServiceCode": EC2, "AttributeNames": names}]}


def _attribute_values(asked: Mapping[str, Any]) -> dict[str, Any]:
    _check_service(asked["ServiceCode"])
    name = asked["AttributeName"]
    values = sorted({product[name] for product in _every() if name in product})
    if not values:
        raise AwsError("NotFoundException", f"{EC2} has no attribute {name}: DescribeServices lists them.")
    page, more = _page(values, asked)
    return {"AttributeValues": [{"Value": value} for value in page], **more}


def _products(asked: Mapping[str, Any]) -> dict[str, Any]:
    _check_service(asked["ServiceCode"])
    filters = asked.get("Filters", [])
    if len(filters) > FILTERS_MAX:
        raise AwsError("InvalidParameterException", f"At most {FILTERS_MAX} Filters: {len(filters)}")
    for one in filters:
        if one["Type"] not in MATCHES:
            raise AwsError(
                "InvalidParameterException", f"The filter type must be one of {', '.join(MATCHES)}: {one['Type']}"
            )
    page, more = _page([product for product in _every() if _passes(product, filters)], asked)
    return {"FormatVersion": FORMAT, "PriceList": [json.dumps(_listed(product)) for product in page], **more}


def _check_service(code: str) -> None:
    if code != EC2:
        raise AwsError("NotFoundException", f"The price list of this stand-in has {EC2} only, not {code}.")


def _every() -> Iterable[Attributes]:
    return _all_products()


@lru_cache(maxsize=1)
def _all_products() -> tuple[Attributes, ...]:
    return tuple(attributes(one, region) for region in table.REGIONS for one in table.priced_types())


def _passes(product: Attributes, filters: Sequence[Mapping[str, str]]) -> bool:
    return all(
        one["Field"] in product and MATCHES[one["Type"]](one["Value"], product[one["Field"]])
        for one in filters
        if one["Field"] != "ServiceCode"
    )


def _page(items: Sequence[Any], asked: Mapping[str, Any]) -> tuple[Sequence[Any], dict[str, str]]:
    """One page, and the token of the next: the place in the list."""
    start, most = _place(asked.get("NextToken", "")), asked.get("MaxResults", RESULTS_MAX)
    end = start + most
    return items[start:end], {"NextToken": base64.b64encode(str(end).encode()).decode()} if end < len(items) else {}


def _place(token: str) -> int:
    try:
        return int(base64.b64decode(token[:TOKEN_CHARACTERS_MAX], validate=True).decode("ascii")) if token else 0
    except (ValueError, binascii.Error) as error:
        raise AwsError("InvalidNextTokenException", "The NextToken is not one of this list.") from error


def _listed(product: Attributes) -> dict[str, Any]:
    """A product with its price, as the list has it."""
    instance_type, region = product["instanceType"], product["regionCode"]
    usd = table.on_demand_usd(instance_type, region)
    if usd is None:
        raise AssertionError(f"{instance_type} is listed without a price")
    sku = hashlib.sha256(f"{instance_type} {region}".encode()).hexdigest()[:16].upper()
    term, rate = f"{sku}.{ON_DEMAND_TERM}", f"{sku}.{ON_DEMAND_TERM}.{HOURLY_RATE}"
    dimension = {
        "unit": "Hrs",
        "beginRange": "0",
        "endRange": "Inf",
        "appliesTo": [],
        "rateCode": rate,
        "description": f"${usd.normalize():f} per On Demand Linux {instance_type} Instance Hour",
        "pricePerUnit": {"USD": f"{usd:.10f}"},
    }
    terms = {
        "priceDimensions": {rate: dimension},
        "sku": sku,
        "effectiveDate": table.AS_OF,
        "offerTermCode": ON_DEMAND_TERM,
        "termAttributes": {},
    }
    return {
        "product": {"productFamily": "Compute Instance", "attributes": dict(product), "sku": sku},
        "serviceCode": EC2,
        "terms": {"OnDemand": {term: terms}},
        "version": table.AS_OF,
        "publicationDate": table.AS_OF,
    }
