"""Rules of load balancers' health checks, and of what Auto Scaling does about them."""

from tests.localcloud_aws.rule import ELB, SCALING, SCALING_API, Rule

ALWAYS_HEALTHY = "every target is healthy at once"
NO_DRAINING = "ends it at once"

RULES = (
    Rule(
        "With the health check type ELB an instance that a target group finds unhealthy is replaced; one of several is enough",
        SCALING + "health-checks-overview.html",
        "test_balancing.py::test_an_unhealthy_target_is_replaced_where_the_group_asks_for_it",
        ALWAYS_HEALTHY,
    ),
    Rule(
        "... but not before its grace period is over",
        SCALING + "health-check-grace-period.html",
        "test_balancing.py::test_the_grace_period_is_waited_for",
        ALWAYS_HEALTHY,
    ),
    Rule(
        "An attachment is Added, with ELB health checks InService once one instance has passed; only then are instances replaced",
        SCALING_API + "API_DescribeLoadBalancerTargetGroups.html",
        "test_balancing.py::test_an_attachment_has_nobody_replaced_before_one_instance_has_passed",
        "InService at once",
    ),
    Rule(
        "What leaves is deregistered first, and its connections drain before its hook and its end: WaitingForELBConnectionDraining",
        SCALING + "attach-load-balancer-asg.html",
        "test_balancing.py::test_what_leaves_drains_before_its_hook_and_its_end",
        NO_DRAINING,
    ),
    Rule(
        "Standby and detaching wait for connections too",
        SCALING + "as-enter-exit-standby.html",
        "test_balancing.py::test_standby_and_detaching_wait_too",
        NO_DRAINING,
    ),
    Rule(
        "A detached target group is Removing while instances drain",
        SCALING_API + "API_DetachLoadBalancerTargetGroups.html",
        "test_balancing.py::test_a_target_group_that_was_detached_is_told_of_while_it_drains",
        NO_DRAINING,
    ),
    Rule(
        "A target is initial; one pass makes it healthy, the unhealthy threshold unhealthy, the healthy threshold healthy again",
        ELB + "application/target-group-health-checks.html",
        "test_doctests.py::test_examples",
        ALWAYS_HEALTHY,
    ),
    Rule(
        "A check by HTTP wants one of the matcher's codes, any other a connection; and each failure has its reason",
        ELB + "application/target-group-health-checks.html",
        "test_target_checks.py::test_a_check_by_http_wants_one_of_the_codes",
        ALWAYS_HEALTHY,
    ),
    Rule(
        "A target that fails its checks is replaced, drains for the deregistration delay and is unused then",
        ELB + "application/edit-target-group-attributes.html",
        "test_target_checks.py::test_a_target_that_fails_its_checks_is_replaced_and_drains",
        ALWAYS_HEALTHY,
    ),
    Rule(
        "What is known of targets survives kill -9: who drains, drains on",
        ELB + "application/edit-target-group-attributes.html",
        "test_front_scaling.py::test_after_kill_9_a_refresh_goes_on_and_pool_and_schedule_are_there",
        ALWAYS_HEALTHY,
    ),
    Rule(
        "Targets of a group that no listener forwards to are unused: Target.NotInUse",
        ELB + "application/target-group-health-checks.html",
        "test_target_checks.py::test_a_target_group_that_no_listener_uses_is_not_checked",
        ALWAYS_HEALTHY,
    ),
)
