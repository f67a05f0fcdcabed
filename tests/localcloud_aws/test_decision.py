"""All policies together, as the IAM user guide tells it: identity, boundary, session, bucket; and the roles that a call hands over."""

import json
from typing import Any

import pytest

from localcloud.aws.iam import passing
from localcloud.aws.iam.decision import permits
from localcloud.aws.iam.policy import Question
from localcloud.aws.iam.principals import ANONYMOUS, Principal, administrator

ACCOUNT = "123456789012"
USER, ROLE = f"arn:aws:iam::{ACCOUNT}:user/ann", f"arn:aws:iam::{ACCOUNT}:role/node"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/node/i-1"
OBJECT = "arn:aws:s3:::own/a"
READ = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::own/*"}]}
SHUT = {"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
NOTHING: dict[str, Any] = {"Statement": []}


def bucket(effect: str, **naming: Any) -> str:
    statement = {"Effect": effect, "Action": "s3:*", "Resource": "arn:aws:s3:::own/*", **naming}
    return json.dumps({"Statement": [statement]})


def user(*policies: Any, **more: Any) -> Principal:
    return Principal(USER, ACCOUNT, "User", "AIDA", "s", policies=policies, **more)


def session(*policies: Any, **more: Any) -> Principal:
    return Principal(SESSION, ACCOUNT, "AssumedRole", "AROA", "s", role_arn=ROLE, policies=policies, **more)


FOR_USER, FOR_ROLE = bucket("Allow", Principal={"AWS": USER}), bucket("Allow", Principal={"AWS": [ROLE]})
FOR_SESSION, FOR_ALL = bucket("Allow", Principal={"AWS": SESSION}), bucket("Allow", Principal="*")
FOR_ACCOUNT = bucket("Allow", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
BUT_USER = bucket("Deny", NotPrincipal={"AWS": USER})
CASES = [
    ("his own policy", user(READ), None, True),
    ("nothing", user(), None, False),
    ("the bucket's policy alone", user(), FOR_USER, True),
    ("everybody", user(), FOR_ALL, True),
    ("everybody as a list", user(), bucket("Allow", Principal={"AWS": ["*"]}), True),
    ("another user", user(), bucket("Allow", Principal={"AWS": USER + "a"}), False),
    ("the account leaves it to his own policies", user(), FOR_ACCOUNT, False),
    ("the account and his own policy", user(READ), FOR_ACCOUNT, True),
    ("the bucket denies", user(READ), bucket("Deny", Principal="*"), False),
    ("the bucket denies all but him", user(READ), BUT_USER, True),
    ("the bucket denies all but somebody else", session(READ), BUT_USER, False),
    ("his own policy denies", user(SHUT), FOR_USER, False),
    ("a boundary does not limit what names a user", user(boundaries=(NOTHING,)), FOR_USER, True),
    ("a boundary limits his own policy", user(READ, boundaries=(NOTHING,)), None, False),
    ("a boundary that denies", user(boundaries=(SHUT,)), FOR_USER, False),
    ("a role", session(), FOR_ROLE, True),
    ("a role within its session's policy", session(session_policies=(READ,)), FOR_ROLE, True),
    ("a role beyond its session's policy", session(session_policies=(NOTHING,)), FOR_ROLE, False),
    ("a role beyond its boundary", session(boundaries=(NOTHING,)), FOR_ROLE, False),
    ("a session by name, whatever its policy", session(session_policies=(NOTHING,)), FOR_SESSION, True),
    ("everybody is not more than the session's policy", session(session_policies=(NOTHING,)), FOR_ALL, False),
    ("whoever did not sign", ANONYMOUS, FOR_ALL, True),
    ("whoever did not sign, by account", ANONYMOUS, FOR_ACCOUNT, False),
    ("the account itself", administrator(ACCOUNT), None, True),
    ("the account itself can be denied", administrator(ACCOUNT), bucket("Deny", Principal="*"), False),
    ("a policy that is none", user(READ), "{", False),
    ("a service is not a user", user(), bucket("Allow", Principal={"Service": "ec2.amazonaws.com"}), False),
]


@pytest.mark.parametrize(("caller", "policy", "yes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_identity_and_resource_policies_together(caller: Principal, policy: str | None, yes: bool) -> None:
    assert permits(caller, Question("s3:GetObject", OBJECT, {}), policy) is yes


def test_the_account_can_always_mend_a_buckets_policy() -> None:
    shut = bucket("Deny", Principal="*")
    assert permits(administrator(ACCOUNT), Question("s3:DeleteBucketPolicy", "arn:aws:s3:::own", {}), shut)


def handed(service: str, action: str, **form: str) -> list[tuple[str, str]]:
    roles = {"node": ["arn:node"], "arn:profile/node": ["arn:node"]}
    fields = {key.replace("_", "."): value for key, value in form.items()}
    return list(
        passing.passed(
            service,
            {"Action": action, **fields},
            lambda profile: roles.get(profile, []),
            lambda key, name, version: (
                "node" if (key, name, version) in {("lt-1", "", "2"), ("", "web", "$Default")} else ""
            ),
        )
    )


EC2 = [("arn:node", "ec2.amazonaws.com")]
HANDED = [
    ("ec2", "RunInstances", {"IamInstanceProfile_Name": "node"}, EC2),
    ("ec2", "RunInstances", {"IamInstanceProfile_Arn": "arn:profile/node"}, EC2),
    ("ec2", "RunInstances", {"LaunchTemplate_LaunchTemplateId": "lt-1", "LaunchTemplate_Version": "2"}, EC2),
    ("ec2", "RunInstances", {"LaunchTemplate_LaunchTemplateId": "lt-1", "LaunchTemplate_Version": "1"}, []),
    ("ec2", "AssociateIamInstanceProfile", {"IamInstanceProfile_Name": "node"}, EC2),
    ("ec2", "CreateLaunchTemplate", {"LaunchTemplateData_IamInstanceProfile_Name": "node"}, []),
    ("ec2", "DescribeInstances", {"IamInstanceProfile_Name": "node"}, []),
    ("autoscaling", "CreateAutoScalingGroup", {"LaunchTemplate_LaunchTemplateName": "web"}, EC2),
    (
        "autoscaling",
        "UpdateAutoScalingGroup",
        {
            "MixedInstancesPolicy_LaunchTemplate_LaunchTemplateSpecification_LaunchTemplateId": "lt-1",
            "MixedInstancesPolicy_LaunchTemplate_LaunchTemplateSpecification_Version": "2",
        },
        EC2,
    ),
    ("autoscaling", "SetDesiredCapacity", {"LaunchTemplate_LaunchTemplateName": "web"}, []),
    ("autoscaling", "PutLifecycleHook", {"RoleARN": "arn:hook"}, [("arn:hook", "autoscaling.amazonaws.com")]),
    ("s3", "PUT", {"RoleARN": "arn:hook"}, []),
]


@pytest.mark.parametrize(("service", "action", "form", "roles"), HANDED)
def test_the_roles_that_a_call_hands_over(
    service: str, action: str, form: dict[str, str], roles: list[tuple[str, str]]
) -> None:
    assert handed(service, action, **form) == roles
