"""What a row of the table of rules is: `docs/aws-behaviour.md` is generated from such rows."""

from dataclasses import dataclass

PAGES = "https://docs.aws.amazon.com/"
SCALING = "autoscaling/ec2/userguide/"
SCALING_API = "autoscaling/ec2/APIReference/"
EC2 = "AWSEC2/latest/UserGuide/"
EC2_API = "AWSEC2/latest/APIReference/"
IAM = "IAM/latest/UserGuide/"
STS_API = "STS/latest/APIReference/"
VPC = "vpc/latest/userguide/"
ELB = "elasticloadbalancing/latest/"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of AWS that the embedded AWS keeps."""

    rule: str  # what AWS does
    page: str  # of AWS's documentation, below PAGES
    test: str  # "test_model.py::test_a_name_is_unique": a file beside this one, and a test in it
    moto: str  # what moto alone does
