"""Rules of Auto Scaling: scaling policies and their alarms."""

from tests.localcloud_aws.rule import SCALING, SCALING_API, Rule

NO_ALARMS = "alarms are not evaluated"
RAW = "stores any value"

RULES = (
    Rule(
        "An alarm without datapoints is INSUFFICIENT_DATA, or what TreatMissingData says; SetAlarmState lasts until there are some",
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html",
        "test_alarms.py::test_an_alarm_without_datapoints_is_what_it_was_told_to_be",
        NO_ALARMS,
    ),
    Rule(
        "An alarm executes its policies when it comes into ALARM, and each minute that it stays there",
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-actions.html",
        "test_policies.py::test_an_alarm_of_ten_seconds_is_looked_at_that_often_and_acts_once_a_minute",
        NO_ALARMS,
    ),
    Rule(
        "Adjustments change by, to, or by percent: rounded towards zero but to one at least, within the bounds",
        SCALING + "as-scaling-simple-step.html",
        "test_policies.py::test_adjustment_types",
        "without percentages' minimum and the group's bounds",
    ),
    Rule(
        "The step that the breach falls into decides; above the threshold its lower bound belongs to it, below its upper one",
        SCALING + "as-scaling-simple-step.html",
        "test_policies.py::test_steps_of_the_user_guide",
        "does not execute steps",
    ),
    Rule(
        "What warms up counts as there already, and nothing is scaled in meanwhile",
        SCALING + "ec2-auto-scaling-default-instance-warmup.html",
        "test_policies.py::test_what_warms_up_is_counted_by_steps_as_there_already",
        "does not execute steps",
    ),
    Rule(
        "A simple policy waits for its cooldown: ScalingActivityInProgress",
        SCALING + "ec2-auto-scaling-scaling-cooldowns.html",
        "test_policies.py::test_a_simple_policy_honours_its_own_cooldown",
        "no cooldown",
    ),
    Rule(
        "Alarms execute policies, unless AlarmNotification is suspended",
        SCALING + "as-suspend-resume-processes.html",
        "test_policies.py::test_an_alarm_executes_a_policy_and_a_suspended_process_does_not",
        NO_ALARMS,
    ),
    Rule(
        "Target tracking keeps two alarms and follows the metric; scale-in can be disabled",
        SCALING + "as-scaling-target-tracking.html",
        "test_policies.py::test_target_tracking_keeps_alarms_and_follows_the_metric",
        "alarms, without effect",
    ),
    Rule(
        "Of several policies the one that gives the largest capacity counts",
        SCALING + "as-scale-based-on-demand.html",
        "test_policies.py::test_the_policy_that_gives_the_largest_capacity_counts",
        NO_ALARMS,
    ),
    Rule(
        "Fields belong to types of policies; steps have no gap and no overlap and go on without end on their side",
        SCALING_API + "API_PutScalingPolicy.html",
        "test_policies.py::test_what_is_refused",
        RAW,
    ),
    Rule(
        "Target tracking and alarms take metric math; exactly one of the metrics returns data",
        SCALING + "ec2-auto-scaling-target-tracking-metric-math.html",
        "test_metric_math.py::test_target_tracking_takes_the_user_guides_backlog_for_each_instance",
        "stores it",
    ),
    Rule(
        "Metric math: numbers, operators, comparisons and functions; without a datapoint on one side there is none",
        "AmazonCloudWatch/latest/monitoring/using-metric-math.html",
        "test_metric_math.py::test_expressions",
        "stores it",
    ),
    Rule(
        "Backlog for each instance, out of a queue's metric and the group's own, scales the group",
        SCALING + "ec2-auto-scaling-target-tracking-metric-math.html",
        "test_front_scaling.py::test_the_backlog_for_each_instance_scales_a_group",
        NO_ALARMS,
    ),
    Rule(
        "Metrics of a group are published every minute once they are enabled",
        SCALING + "ec2-auto-scaling-metrics.html",
        "test_metric_math.py::test_metrics_of_a_group_are_published_every_minute_once_they_are_enabled",
        "stores it",
    ),
    Rule(
        "Datapoints of a metric bring its alarm into ALARM, and the alarm its policy into effect",
        SCALING + "as-scaling-simple-step.html",
        "test_front_scaling.py::test_a_metric_scales_a_group_by_its_alarm",
        NO_ALARMS,
    ),
)
