"""Rules of everything but Auto Scaling itself: machines, metadata, identity, network, errors, faults."""

from tests.localcloud_aws.rule import EC2, EC2_API, IAM, SCALING, STS_API, VPC, Rule

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
    Rule(
        "An explicit Deny wins over every Allow; what nothing allows is denied (with --iam roles or enforce)",
        IAM + "reference_policies_evaluation-logic.html",
        "test_policy.py::test_policies",
        "looks at actions only, and only when asked by an environment variable",
    ),
    Rule(
        "Condition operators, IfExists, ForAnyValue and ForAllValues",
        IAM + "reference_policies_elements_condition_operators.html",
        "test_policy.py::test_conditions",
        "ignores conditions of identity policies",
    ),
    Rule(
        "A signature is of this request, this secret and this quarter of an hour",
        IAM + "reference_sigv-create-signed-request.html",
        "test_policy.py::test_what_botocore_has_signed_is_genuine_and_nothing_else",
        "is not looked at",
    ),
    Rule(
        "An unknown key or a wrong signature is refused with each service's own code (with --iam enforce)",
        IAM + "reference_sigv-troubleshooting.html",
        "test_identity.py::test_keys_that_nobody_has_and_signatures_of_another_secret",
        "every key is good",
    ),
    Rule(
        "A user may do what his policies say, on the resources that they name",
        IAM + "access_policies.html",
        "test_identity.py::test_a_user_may_do_what_his_policies_say",
        "ignores resources",
    ),
    Rule(
        "aws:ResourceTag looks at the tags of a group",
        SCALING + "control-access-using-iam.html",
        "test_identity.py::test_conditions_look_at_the_tags_of_groups",
        "ignores it",
    ),
    Rule(
        "AssumeRole needs the role's trust: principal, ExternalId; session tags and a session policy bind the session",
        STS_API + "API_AssumeRole.html",
        "test_identity.py::test_a_role_is_taken_with_the_right_external_id_only",
        "gives anybody any role, existing or not",
    ),
    Rule(
        "A machine's role can do exactly what its policy says, with credentials out of its metadata",
        EC2 + "iam-roles-for-amazon-ec2.html",
        "test_identity.py::test_a_node_can_do_exactly_what_the_policy_of_its_role_says",
        "may do everything",
    ),
    Rule(
        "A role that does not trust ec2.amazonaws.com gives a machine no credentials",
        EC2 + "troubleshoot-iam-roles.html",
        "test_identity.py::test_a_role_that_does_not_trust_ec2_gives_a_machine_nothing",
        "gives them",
    ),
    Rule(
        "Requests are throttled by token buckets, one for each family of calls, with each service's code",
        EC2_API + "throttling.html",
        "test_faults.py::test_a_bucket_lets_a_burst_pass_and_then_its_rate",
        "never throttles",
    ),
    Rule(
        "A call whose answer was lost has had its effect",
        "general/latest/gr/api-retries.html",
        "test_faults.py::test_a_lost_reply_has_had_its_effect",
        "never loses an answer",
    ),
    Rule(
        "Machines take their time to boot; RunInstances launches one, stop, start and terminate reach it",
        EC2 + "ec2-instance-lifecycle.html",
        "test_machines.py::test_a_machine_launched_directly_lives_and_speaks_and_survives_kill_9",
        "has records, no machines",
    ),
    Rule(
        "GetConsoleOutput returns what the machine has said last, 64 KiB at most",
        EC2_API + "API_GetConsoleOutput.html",
        "test_machines.py::test_a_machine_launched_directly_lives_and_speaks_and_survives_kill_9",
        "always the same text",
    ),
    Rule(
        "A spot machine is told of its interruption two minutes before, and of a rebalance recommendation",
        EC2 + "spot-instance-termination-notices.html",
        "test_machines.py::test_a_spot_machine_is_told_that_it_is_taken_and_then_is",
        "never interrupts",
    ),
    Rule(
        "Security groups allow by range or by group, both on the way out and on the way in",
        VPC + "security-group-rules.html",
        "test_network.py::test_instances_reach_each_other_as_their_security_groups_say",
        "stores the rules",
    ),
    Rule(
        "A network ACL decides by number, at the edge of a subnet, and the answers' way back too",
        VPC + "nacl-basics.html",
        "test_network.py::test_an_acl_decides_by_number_forgets_and_stands_at_the_edge_of_a_subnet",
        "stores the entries",
    ),
    Rule(
        "The most specific route decides",
        VPC + "RouteTables.html",
        "test_network.py::test_the_most_specific_route_decides",
        "stores the routes",
    ),
    Rule(
        "A subnet reaches the internet by an internet gateway with a public address, or by a NAT gateway that does",
        VPC + "vpc-nat-gateway.html",
        "test_network.py::test_a_subnet_reaches_the_internet_by_a_gateway_or_by_nat",
        "stores the gateways",
    ),
)
