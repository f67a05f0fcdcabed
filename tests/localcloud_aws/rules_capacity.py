"""Rules of Auto Scaling: instance refresh, replacement, weights, zones, warm pools, scheduled actions."""

from tests.localcloud_aws.rule import SCALING, SCALING_API, Rule

ACCEPTS = "accepts it"
NO_MODEL = "instances are InService at once and stay so"
NO_REFRESH = "an HTML 500"
NO_REPLACEMENT = "unhealthy instances are never replaced"
STORED = "stored or ignored, without effect"
STORED_POOL = "stores the settings; no instances"

RULES = (
    Rule(
        "Required, enumerated and bounded parameters are checked first, and all that is wrong is told at once",
        "autoscaling/ec2/APIReference/CommonErrors.html",
        "test_constraints.py::test_the_models_own_constraints",
        "accepts most values",
    ),
    Rule(
        "An instance refresh replaces every instance, then its desired configuration is the group's",
        SCALING + "instance-refresh-overview.html",
        "test_refresh.py::test_a_refresh_replaces_every_instance_and_then_the_group_has_the_desired_configuration",
        NO_REFRESH,
    ),
    Rule(
        "Preferences have bounds; defaults come from the maintenance policy, the default warm-up and the grace period",
        SCALING + "understand-instance-refresh-default-values.html",
        "test_refresh.py::test_defaults_come_from_the_policy_and_the_warm_up_from_the_grace_period",
        NO_REFRESH,
    ),
    Rule(
        "How many are replaced at once follows from the healthy percentages, rounded up; one at a time where they leave no room",
        SCALING + "instance-refresh-overview.html",
        "test_refresh.py::test_how_many_are_replaced_at_once",
        NO_REFRESH,
    ),
    Rule(
        "The healthy percentages hold until the refresh has ended",
        SCALING + "instance-refresh-overview.html",
        "test_refresh.py::test_the_bounds_hold_all_the_way",
        NO_REFRESH,
    ),
    Rule(
        "An instance counts as updated when it has warmed up",
        SCALING + "check-status-instance-refresh.html",
        "test_refresh.py::test_the_next_waits_until_the_last_has_warmed_up",
        NO_REFRESH,
    ),
    Rule(
        "Checkpoints pause the refresh for their delay",
        SCALING + "asg-adding-checkpoints-instance-refresh.html",
        "test_refresh.py::test_checkpoints_pause_and_the_delay_ends_the_pause",
        NO_REFRESH,
    ),
    Rule(
        "One refresh at a time: InstanceRefreshInProgress; what it wants can not be updated meanwhile",
        SCALING_API + "API_StartInstanceRefresh.html",
        "test_refresh.py::test_only_one_refresh_at_a_time",
        NO_REFRESH,
    ),
    Rule(
        "Skip matching leaves what is as wanted",
        SCALING + "asg-instance-refresh-skip-matching.html",
        "test_refresh.py::test_skip_matching_leaves_what_is_as_wanted",
        NO_REFRESH,
    ),
    Rule(
        "Protected and standby instances are replaced, left, or waited for; after an hour the refresh fails",
        SCALING_API + "API_RefreshPreferences.html",
        "test_refresh_ends.py::test_wait_gives_an_hour_then_fails",
        NO_REFRESH,
    ),
    Rule(
        "Cancel undoes nothing, and lets what is under way end",
        SCALING + "cancel-instance-refresh.html",
        "test_refresh_ends.py::test_cancel_lets_what_is_under_way_end_and_undoes_nothing",
        NO_REFRESH,
    ),
    Rule(
        "A rollback replaces what was replaced; the percentage goes back to 0",
        SCALING + "instance-refresh-rollback.html",
        "test_refresh_ends.py::test_a_rollback_replaces_what_was_replaced_and_the_percentage_goes_back",
        NO_REFRESH,
    ),
    Rule(
        "No rollback without a desired configuration or of $Latest and $Default: IrreversibleInstanceRefresh",
        SCALING + "instance-refresh-rollback.html",
        "test_refresh_ends.py::test_what_can_not_be_rolled_back",
        NO_REFRESH,
    ),
    Rule(
        "A refresh without progress for an hour fails, and is rolled back when asked for",
        SCALING + "instance-refresh-rollback.html",
        "test_refresh_ends.py::test_a_refresh_that_gets_nowhere_fails_and_is_rolled_back_if_wanted",
        NO_REFRESH,
    ),
    Rule(
        "An alarm in ALARM fails the refresh or rolls it back",
        SCALING + "start-instance-refresh.html",
        "test_refresh_ends.py::test_an_alarm_fails_the_refresh_or_rolls_it_back",
        NO_REFRESH,
    ),
    Rule(
        "The bake time watches the alarms on when all is replaced",
        SCALING + "start-instance-refresh.html",
        "test_refresh.py::test_the_bake_time_watches_on_before_the_refresh_is_successful",
        NO_REFRESH,
    ),
    Rule(
        "Suspended InstanceRefresh, Launch or Terminate hold a refresh",
        SCALING + "as-suspend-resume-processes.html",
        "test_refresh.py::test_a_suspended_process_holds_the_refresh",
        NO_REFRESH,
    ),
    Rule(
        "Without a maintenance policy an unhealthy instance is terminated at once, with one after its replacement serves",
        SCALING + "instance-maintenance-policy-overview-and-considerations.html",
        "test_capacity.py::test_a_policy_that_launches_first_terminates_when_the_replacement_serves",
        NO_REPLACEMENT,
    ),
    Rule(
        "Replacement never exceeds the maximum healthy percentage",
        SCALING + "instance-maintenance-policy-overview-and-considerations.html",
        "test_capacity.py::test_many_unhealthy_ones_go_one_after_the_other_when_the_maximum_is_near",
        NO_REPLACEMENT,
    ),
    Rule(
        "Instances are replaced at their maximum lifetime, a tenth at a time",
        SCALING + "asg-max-instance-lifetime.html",
        "test_capacity.py::test_the_maximum_lifetime_replaces_a_tenth_at_a_time",
        STORED,
    ),
    Rule(
        "Capacity rebalancing replaces a spot instance at risk before it is lost",
        SCALING + "ec2-auto-scaling-capacity-rebalancing.html",
        "test_capacity.py::test_capacity_rebalance_replaces_a_spot_instance_at_risk_before_it_is_lost",
        STORED,
    ),
    Rule(
        "Uneven zones are evened out by launching first, a tenth of the maximum (or one) above it",
        SCALING + "auto-scaling-benefits.html",
        "test_zones.py::test_zones_are_evened_out_by_launching_first_once_there_is_room_again",
        NO_MODEL,
    ),
    Rule(
        "Suspended AZRebalance, Launch or Terminate leave the zones as they are",
        SCALING + "as-suspend-resume-processes.html",
        "test_zones.py::test_zones_are_left_as_they_are_while_the_process_is_suspended",
        NO_MODEL,
    ),
    Rule(
        "Instances of a zone that the group has left are moved",
        SCALING + "as-add-availability-zone.html",
        "test_zones.py::test_instances_of_a_zone_that_the_group_has_left_are_moved",
        NO_MODEL,
    ),
    Rule(
        "balanced-only waits for the zone that has no room",
        SCALING + "ec2-auto-scaling-availability-zone-balanced.html",
        "test_zones.py::test_balanced_only_waits_for_the_zone_that_has_no_room",
        STORED,
    ),
    Rule(
        "Weights fill the desired capacity and may overshoot it; scale-in does not fall below it",
        SCALING + "ec2-auto-scaling-mixed-instances-groups-instance-weighting.html",
        "test_purchase_options.py::test_weights_fill_the_desired_capacity_and_may_overshoot_it",
        STORED,
    ),
    Rule(
        "On demand: prioritized is the order of the list, lowest-price the price of a unit of capacity",
        SCALING + "allocation-strategies.html",
        "test_allocation.py::test_on_demand",
        STORED,
    ),
    Rule(
        "Spot: the cheapest pools evenly, or the most room (capacity-optimized), or the cheapest of those (price-capacity-optimized)",
        SCALING + "allocation-strategies.html",
        "test_allocation.py::test_spot",
        STORED,
    ),
    Rule(
        "A spot machine that costs more than SpotMaxPrice is not launched",
        SCALING_API + "API_InstancesDistribution.html",
        "test_allocation.py::test_a_spot_machine_that_costs_more_than_allowed_is_refused",
        STORED,
    ),
    Rule(
        "The AllocationStrategy policy ends first what the strategy would launch last",
        SCALING + "ec2-auto-scaling-termination-policies.html",
        "test_allocation.py::test_scale_in_by_allocation_strategy_takes_what_would_be_launched_last",
        STORED,
    ),
    Rule(
        "The next type of the list is taken where the first has no room",
        SCALING + "allocation-strategies.html",
        "test_purchase_options.py::test_the_next_type_is_taken_where_the_first_has_no_room",
        STORED,
    ),
    Rule(
        "On-demand base capacity and percentage above it",
        SCALING + "mixed-instances-groups-set-up-overview.html",
        "test_purchase_options.py::test_on_demand_base_and_percentage",
        STORED,
    ),
    Rule(
        "Scale-in keeps the share of on demand",
        SCALING + "ec2-auto-scaling-termination-policies.html",
        "test_purchase_options.py::test_scale_in_keeps_the_share_of_on_demand",
        NO_MODEL,
    ),
    Rule(
        "Termination policies: oldest template, newest, closest to the hour, default; Default is last, a custom one first",
        SCALING + "ec2-auto-scaling-termination-policies.html",
        "test_capacity.py::test_termination_policies_on_templates_and_hours",
        NO_MODEL,
    ),
    Rule(
        "An attached instance raises the desired capacity; it must run, in a zone of the group, in no other group",
        SCALING + "ec2-auto-scaling-attach-detach-instances.html",
        "test_capacity.py::test_an_instance_is_attached_and_the_desired_capacity_grows",
        ACCEPTS,
    ),
    Rule(
        "Load balancers and traffic sources hold what is in service",
        SCALING_API + "API_AttachTrafficSources.html",
        "test_capacity.py::test_load_balancers_and_traffic_sources_hold_what_is_in_service",
        "target groups and classic balancers",
    ),
    Rule(
        "Deletion protection refuses a delete, or a forced one",
        SCALING + "resource-deletion-protection.html",
        "test_capacity.py::test_deletion_protection",
        "deletes it",
    ),
    Rule(
        "Activities of deleted groups are told on request for six weeks",
        SCALING_API + "API_DescribeScalingActivities.html",
        "test_capacity.py::test_activities_of_a_deleted_group_are_told_on_request_for_six_weeks",
        "no activities",
    ),
    Rule(
        "A warm pool holds maximum (or prepared maximum) less desired, and at least its minimum",
        SCALING + "ec2-auto-scaling-warm-pools.html",
        "test_warm_pool.py::test_the_size_of_the_pool",
        STORED_POOL,
    ),
    Rule(
        "Warm instances wait Stopped, Running or Hibernated",
        SCALING + "ec2-auto-scaling-warm-pools.html",
        "test_warm_pool.py::test_instances_wait_in_the_state_of_the_pool",
        STORED_POOL,
    ),
    Rule(
        "Scale-out takes from the warm pool first",
        SCALING + "ec2-auto-scaling-warm-pools.html",
        "test_warm_pool.py::test_the_group_takes_from_the_pool_first_and_the_pool_fills_up_no_further_than_its_size",
        STORED_POOL,
    ),
    Rule(
        "Launching hooks run on the way into the pool and again out of it",
        SCALING + "warm-pool-instance-lifecycle.html",
        "test_warm_pool.py::test_launching_hooks_run_on_the_way_into_the_pool_and_again_out_of_it",
        STORED_POOL,
    ),
    Rule(
        "Scale-in gives back to the pool when instances are used again",
        SCALING + "ec2-auto-scaling-warm-pools.html",
        "test_warm_pool.py::test_scale_in_gives_back_to_the_pool_when_instances_are_used_again",
        STORED_POOL,
    ),
    Rule(
        "A refresh renews the warm pool too",
        SCALING + "check-status-instance-refresh.html",
        "test_warm_pool.py::test_a_refresh_renews_the_pool_too",
        NO_REFRESH,
    ),
    Rule(
        "A warm pool is deleted when empty, or by force",
        SCALING_API + "API_DeleteWarmPool.html",
        "test_warm_pool.py::test_a_pool_is_deleted_by_force_or_when_it_is_empty",
        "deletes it",
    ),
    Rule(
        "A scheduled action sets the sizes once at its time; the activity says so",
        SCALING + "ec2-auto-scaling-scheduled-scaling.html",
        "test_schedules.py::test_once_at_a_time_and_then_it_is_gone",
        STORED,
    ),
    Rule(
        "Recurrence is cron in five fields and in a time zone",
        SCALING + "ec2-auto-scaling-scheduled-scaling.html",
        "test_schedules.py::test_recurrence_is_cron_in_a_time_zone",
        STORED,
    ),
    Rule(
        "A time zone is followed through summer time",
        SCALING + "ec2-auto-scaling-scheduled-scaling.html",
        "test_schedules.py::test_the_clock_on_the_wall_is_followed_through_summer_time",
        STORED,
    ),
    Rule(
        "Suspended ScheduledActions are passed over, not made up for",
        SCALING + "as-suspend-resume-processes.html",
        "test_schedules.py::test_suspended_they_are_passed_over",
        STORED,
    ),
    Rule(
        "Past starts, bad cron, unknown zones and missing sizes are refused; two may not start at the same time; 125 per group",
        SCALING_API + "API_PutScheduledUpdateGroupAction.html",
        "test_schedules.py::test_what_is_refused",
        ACCEPTS,
    ),
)
