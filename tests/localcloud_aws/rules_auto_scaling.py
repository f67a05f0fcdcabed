"""Rules of Auto Scaling: groups, instances, hooks, health."""

from tests.localcloud_aws.rule import SCALING, SCALING_API, Rule

ACCEPTS = "accepts it"
NO_MODEL = "instances are InService at once and stay so"

RULES = (
    Rule(
        "Refusals in AWS's words, as met in nomad-autoscaler#1290, terraform-aws-spacelift-workerpool-on-ec2#85, "
        "aws-eks-asg-rolling-update-handler#16",
        SCALING + "CHAP_Troubleshooting.html",
        "test_words.py::test_refusals",
        "words of its own",
    ),
    Rule(
        "Why an instance was replaced, in AWS's words (repost.aws/knowledge-center/auto-scaling-instance-how-terminated)",
        SCALING + "replace-unhealthy-instance.html",
        "test_words.py::test_reasons_of_a_replacement",
        "no activities",
    ),
    Rule(
        "Why the desired capacity has changed, in AWS's words (repost.aws/knowledge-center/auto-scaling-scale-down)",
        SCALING + "ec2-auto-scaling-verify-scaling-activity.html",
        "test_words.py::test_causes_of_a_new_desired_capacity",
        "no activities",
    ),
    Rule(
        "Launches, terminations and failed launches are told to the topics that asked for them",
        SCALING + "ec2-auto-scaling-sns-notifications.html",
        "test_notices.py::test_launches_terminations_and_failed_launches_are_told_to_those_who_asked",
        "stores the configuration",
    ),
    Rule(
        "A lifecycle hook tells its topic or queue the token that ends it",
        SCALING + "prepare-for-lifecycle-notifications.html",
        "test_notices.py::test_a_hook_tells_its_target_the_token_that_ends_it",
        "stores the target",
    ),
    Rule(
        "Launch configurations are not to be had by new accounts: UnsupportedOperation (text: SummitRoute/aws_breaking_changes#95)",
        SCALING + "launch-configurations.html",
        "test_metric_math.py::test_launch_configurations_are_refused_as_to_new_accounts",
        "makes one",
    ),
    Rule(
        "min <= desired <= max; template, version and subnets exist; settings lie in their ranges",
        SCALING_API + "API_CreateAutoScalingGroup.html",
        "test_model.py::test_create_refuses",
        ACCEPTS,
    ),
    Rule(
        "A group's name is unique",
        SCALING_API + "API_CreateAutoScalingGroup.html",
        "test_model.py::test_a_name_is_unique",
        "replaces the group",
    ),
    Rule(
        "Instances are spread evenly over the zones; each launch is a scaling activity with its cause",
        SCALING + "auto-scaling-benefits.html",
        "test_model.py::test_instances_boot_in_all_zones_and_their_launch_is_told",
        "no activities",
    ),
    Rule(
        "SetDesiredCapacity stays within the bounds, and honours the cooldown when asked to",
        SCALING_API + "API_SetDesiredCapacity.html",
        "test_model.py::test_desired_capacity_must_lie_in_bounds_and_can_honour_the_cooldown",
        ACCEPTS,
    ),
    Rule(
        "New bounds move the desired capacity into them",
        SCALING_API + "API_UpdateAutoScalingGroup.html",
        "test_model.py::test_an_update_of_the_bounds_moves_the_desired_capacity",
        "keeps the old one",
    ),
    Rule(
        "A launching hook holds the instance in Pending:Wait until it is completed",
        SCALING + "lifecycle-hooks-overview.html",
        "test_hooks.py::test_a_launching_hook_holds_until_completed",
        NO_MODEL,
    ),
    Rule(
        "ABANDON at launch terminates the instance, and another one is launched",
        SCALING + "completing-lifecycle-hooks.html",
        "test_hooks.py::test_a_launch_that_is_abandoned_is_replaced_and_its_activity_says_so",
        "an HTML page with status 500",
    ),
    Rule(
        "A hook that nobody completes ends with its default result",
        SCALING + "lifecycle-hooks-overview.html",
        "test_hooks.py::test_a_hook_that_nobody_completes_ends_with_its_default_result",
        NO_MODEL,
    ),
    Rule(
        "A heartbeat starts the timeout anew, up to 48 hours or 100 times the timeout",
        SCALING + "lifecycle-hooks-overview.html",
        "test_hooks.py::test_a_heartbeat_starts_the_timeout_anew_up_to_the_global_limit",
        "an HTML page with status 500",
    ),
    Rule(
        "Of several launching hooks each must continue",
        SCALING + "lifecycle-hooks-overview.html",
        "test_hooks.py::test_every_launching_hook_must_continue",
        NO_MODEL,
    ),
    Rule(
        "A terminating instance waits for its hook, but counts no more",
        SCALING + "lifecycle-hooks-overview.html",
        "test_hooks.py::test_a_terminating_instance_waits_for_its_hook_but_counts_no_more",
        "ends it at once",
    ),
    Rule(
        "Termination with a smaller desired capacity stops at the minimum",
        SCALING_API + "API_TerminateInstanceInAutoScalingGroup.html",
        "test_model.py::test_terminating_with_decrement_stops_at_the_minimum",
        ACCEPTS,
    ),
    Rule(
        "A machine that fails its status checks is replaced once its grace period is over",
        SCALING + "ec2-auto-scaling-health-checks.html",
        "test_model.py::test_an_impaired_machine_is_replaced_after_its_grace_period",
        "never replaces",
    ),
    Rule(
        "A stopped or terminated machine gets no grace",
        SCALING + "health-check-grace-period.html",
        "test_model.py::test_a_machine_that_was_stopped_gets_no_grace",
        "never replaces",
    ),
    Rule(
        "SetInstanceHealth has the instance replaced, and may respect the grace period",
        SCALING_API + "API_SetInstanceHealth.html",
        "test_model.py::test_set_instance_health_replaces_and_can_respect_the_grace_period",
        "stores it",
    ),
    Rule(
        "A suspended process does nothing until it is resumed",
        SCALING + "as-suspend-resume-processes.html",
        "test_model.py::test_a_suspended_process_does_nothing_until_it_is_resumed",
        "runs on",
    ),
    Rule(
        "Scale-in spares protected instances and keeps the zones even",
        SCALING + "ec2-auto-scaling-instance-protection.html",
        "test_model.py::test_scale_in_spares_the_protected_and_keeps_zones_even",
        "takes any",
    ),
    Rule(
        "The default policy takes the oldest template first",
        SCALING + "ec2-auto-scaling-termination-policies.html",
        "test_model.py::test_the_oldest_template_goes_first_then_the_oldest_instance",
        "takes any",
    ),
    Rule(
        "A group's own termination policies are applied in their order",
        SCALING + "ec2-auto-scaling-termination-policies.html",
        "test_model.py::test_termination_policies",
        "takes any",
    ),
    Rule(
        "A zone without capacity is passed over; none at all is a failed activity, tried again later",
        SCALING + "CHAP_Troubleshooting.html",
        "test_model.py::test_a_zone_without_capacity_is_passed_over_and_none_at_all_is_told_and_tried_again",
        "always has capacity",
    ),
    Rule(
        "Instances go to standby and back, and are detached",
        SCALING + "as-enter-exit-standby.html",
        "test_model.py::test_standby_and_detach",
        "without states on the way",
    ),
    Rule(
        "A group with instances is deleted only by force",
        SCALING_API + "API_DeleteAutoScalingGroup.html",
        "test_model.py::test_a_group_with_instances_is_deleted_only_by_force_and_then_without_hooks",
        "deletes it",
    ),
    Rule(
        "A running activity stops a delete: ScalingActivityInProgress",
        SCALING_API + "API_DeleteAutoScalingGroup.html",
        "test_model.py::test_an_activity_that_runs_stops_a_delete",
        "deletes it",
    ),
    Rule(
        "Tags reach new instances when they are to",
        SCALING + "ec2-auto-scaling-tagging.html",
        "test_model.py::test_tags_reach_new_instances_when_they_are_to",
        "the same",
    ),
    Rule(
        "Target groups hold the instances in service",
        SCALING + "attach-load-balancer-asg.html",
        "test_front.py::test_a_target_group_holds_the_instances_in_service",
        "registers them at once",
    ),
    Rule(
        "A group is never above its desired capacity for long, and no instance is counted twice",
        SCALING + "ec2-auto-scaling-lifecycle.html",
        "test_properties.py::test_no_instance_is_counted_twice_or_lost_and_the_desired_capacity_is_reached",
        NO_MODEL,
    ),
    Rule(
        "Stock paginators and waiters work",
        SCALING_API + "API_DescribeAutoScalingGroups.html",
        "test_front.py::test_stock_paginators_and_waiters_work",
        "the same",
    ),
)
