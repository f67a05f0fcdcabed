"""The table of rules: what AWS's documentation says, our test of it, and what moto alone does.

`python -m tools.generate_aws_behaviour` writes it into `docs/aws-behaviour.md`. A rule is added in the module of its area.
"""

from tests.localcloud_aws import rules_auto_scaling, rules_balancing, rules_capacity, rules_policies, rules_services
from tests.localcloud_aws.rule import Rule

SECTIONS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Auto Scaling", rules_auto_scaling.RULES),
    ("Auto Scaling: refresh, replacement, weights, zones, warm pools, schedules", rules_capacity.RULES),
    ("Auto Scaling: scaling policies", rules_policies.RULES),
    ("Auto Scaling: load balancers", rules_balancing.RULES),
    ("Machines, identity, network and faults", rules_services.RULES),
)
