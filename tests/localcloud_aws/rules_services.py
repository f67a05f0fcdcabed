"""Rules of everything but Auto Scaling itself: machines, metadata, identity, network, errors, faults."""

from tests.localcloud_aws.rule import EC2, EC2_API, SCALING, Rule

RULES = (
    Rule(
        "Profile, metadata options, security groups, tags and user data of the template reach the instance",
        SCALING + "create-launch-template.html",
        "test_front.py::test_what_the_template_says_reaches_the_instance",
        "loses profile, metadata options and security groups",
    ),
    Rule(
        "An instance that is terminated behind its group's back is replaced",
        SCALING + "ec2-auto-scaling-health-checks.html",
        "test_front.py::test_an_instance_terminated_behind_the_groups_back_is_replaced",
        "never replaces",
    ),
    Rule(
        "IMDSv2: a token is required when the template says so; it has a life of its own; role credentials work",
        EC2 + "configuring-instance-metadata-service.html",
        "test_front.py::test_metadata_needs_a_token_when_the_template_says_so",
        "a metadata service of one shared account",
    ),
    Rule(
        "A throttled call fails with its service's code",
        EC2_API + "throttling.html",
        "test_front.py::test_throttling_hits_the_calls_it_names_and_ends",
        "never throttles",
    ),
    Rule(
        "InsufficientInstanceCapacity is of a type in a zone",
        EC2 + "troubleshooting-launch.html",
        "test_front.py::test_a_zone_without_capacity",
        "always has capacity",
    ),
    Rule(
        "Errors have the form of the service's protocol",
        EC2_API + "errors-overview.html",
        "test_front.py::test_what_makes_no_sense_is_refused_in_xml",
        "an HTML page with status 404 or 500",
    ),
    Rule(
        "A machine is given user data, credentials and nothing else of its host",
        EC2 + "user-data.html",
        "test_processes.py::test_a_machine_is_given_what_it_needs_and_nothing_else",
        "has no machines",
    ),
    Rule(
        "A machine that dies fails its status checks and is replaced",
        SCALING + "ec2-auto-scaling-health-checks.html",
        "test_processes.py::test_a_machine_that_dies_is_replaced",
        "never replaces",
    ),
    Rule(
        "Nothing that was answered is lost when the cloud itself is killed; machines run on",
        "whitepapers/latest/aws-fault-isolation-boundaries/control-planes-and-data-planes.html",
        "test_processes.py::test_after_kill_9_everything_is_there_and_machines_are_adopted",
        "keeps nothing",
    ),
    Rule(
        "A describe may lag behind a write",
        EC2_API + "query-api-troubleshooting.html",
        "test_model.py::test_reads_may_lag_behind_writes",
        "never lags",
    ),
)
