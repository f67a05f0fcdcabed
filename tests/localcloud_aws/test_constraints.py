"""What AWS's own model refuses, in AWS's words, before an action sees it."""

import pytest

from localcloud.aws import query_protocol
from localcloud.aws.errors import AwsError

NAME = {"AutoScalingGroupName": "web"}
CREATE = NAME | {"MinSize": "0", "MaxSize": "1"}
REFUSED = [
    (
        "SetDesiredCapacity",
        NAME,
        "Value null at 'desiredCapacity' failed to satisfy constraint: Member must not be null",
    ),
    ("PutWarmPool", NAME | {"PoolState": "Asleep"}, "satisfy enum value set: [Stopped, Running, Hibernated]"),
    (
        "PutWarmPool",
        NAME | {"MinSize": "-1"},
        "Value '-1' at 'minSize' failed to satisfy constraint: Member must have value greater",
    ),
    (
        "StartInstanceRefresh",
        NAME | {"Preferences.MinHealthyPercentage": "101"},
        "Value '101' at 'preferences.minHealthyPercentage' failed to satisfy constraint: Member must have value less than",
    ),
    ("CreateAutoScalingGroup", CREATE | {"AutoScalingGroupName": ""}, "have length greater than or equal to 1"),
    ("CreateAutoScalingGroup", CREATE | {"AutoScalingGroupName": "x" * 256}, "have length less than or equal to 255"),
    ("CreateAutoScalingGroup", CREATE | {"Tags.member.1.Value": "v"}, "Value null at 'tags.1.member.key'"),
    ("CreateAutoScalingGroup", CREATE | {"DeletionProtection": "maybe"}, "prevent-all-deletion"),
    (
        "CreateAutoScalingGroup",
        CREATE | {"InstanceMaintenancePolicy.MinHealthyPercentage": "101", "LaunchTemplate.LaunchTemplateName": "x"},
        "2 validation errors detected",
    ),
]


@pytest.mark.parametrize(("action", "form", "text"), REFUSED)
def test_the_models_own_constraints(action: str, form: dict[str, str], text: str) -> None:
    model = query_protocol.operation(action)
    assert model is not None
    with pytest.raises(AwsError) as refusal:
        query_protocol.parse(model, form)
    assert refusal.value.code == "ValidationError"
    assert text in refusal.value.message


def test_what_satisfies_them_is_parsed() -> None:
    model = query_protocol.operation("PutWarmPool")
    assert model is not None
    parsed = query_protocol.parse(model, NAME | {"PoolState": "Running", "MaxGroupPreparedCapacity": "-1"})
    assert parsed == NAME | {"PoolState": "Running", "MaxGroupPreparedCapacity": -1}
