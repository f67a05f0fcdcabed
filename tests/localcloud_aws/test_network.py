"""The network: what reaches what, through boto3's calls and the control API; and the evaluation by itself."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import pytest

from localcloud.aws.client import Control, ControlRefusedError
from localcloud.aws.network import reach
from localcloud.aws.network.reach import AclRule, Allowance, Interface, Place, RouteTo
from tests.localcloud_aws.front import FrontProcess

ALL = IPv4Network("0.0.0.0/0")
OPEN = (AclRule(100, "-1", 0, 65535, ALL, allow=True),)
EVERYTHING = Allowance("-1", 0, 65535, ALL)


def place(name: str, network: str, *routes: RouteTo, vpc: str = "vpc-1", **more: Any) -> Place:
    return Place(name, vpc, IPv4Network(network), routes, more.get("acl_in", OPEN), more.get("acl_out", OPEN))


A, B = place("a", "10.0.1.0/24"), place("b", "10.0.2.0/24")


def interface(name: str, where: Place, *ways_in: Allowance, **more: Any) -> Interface:
    return Interface(
        name, where, frozenset({f"sg-{name}"}), ways_in, more.get("ways_out", (EVERYTHING,)), more.get("public", False)
    )


SOURCE = interface("s", A)
RULES = [
    ("by range", Allowance("tcp", 7400, 7401, IPv4Network("10.0.0.0/16")), True),
    ("by its subnet's range", Allowance("tcp", 7400, 7400, IPv4Network("10.0.1.0/24")), True),
    ("by a part of its subnet", Allowance("tcp", 7400, 7400, IPv4Network("10.0.1.0/25")), False),
    ("by another range", Allowance("tcp", 7400, 7400, IPv4Network("10.0.2.0/24")), False),
    ("by group", Allowance("tcp", 7400, 7400, group="sg-s"), True),
    ("by another group", Allowance("tcp", 7400, 7400, group="sg-x"), False),
    ("all protocols", EVERYTHING, True),
    ("another port", Allowance("tcp", 7401, 7500, ALL), False),
    ("another protocol", Allowance("udp", 7400, 7400, ALL), False),
]


@pytest.mark.parametrize(("rule", "yes"), [row[1:] for row in RULES], ids=[row[0] for row in RULES])
def test_a_security_groups_rule(rule: Allowance, yes: bool) -> None:
    assert reach.reachable(SOURCE, interface("t", B, rule), 7400).yes is yes


def test_nothing_goes_in_or_out_that_no_rule_allows() -> None:
    assert not reach.reachable(SOURCE, interface("t", B), 7400).yes
    silent = interface("s", A, ways_out=())
    assert "egress" in reach.reachable(silent, interface("t", B, EVERYTHING), 7400).why


def test_an_acl_decides_by_number_forgets_and_stands_at_the_edge_of_a_subnet() -> None:
    deny = AclRule(90, "tcp", 7400, 7400, ALL, allow=False)
    closed = replace(B, acl_in=(*OPEN, deny))
    assert "denies tcp 7400" in reach.reachable(SOURCE, interface("t", closed, EVERYTHING), 7400).why
    later = replace(B, acl_in=(*OPEN, replace(deny, number=110)))
    assert reach.reachable(SOURCE, interface("t", later, EVERYTHING), 7400).yes
    mute = replace(B, acl_out=(AclRule(100, "tcp", 443, 443, ALL, allow=True),))
    assert "ephemeral" in reach.reachable(SOURCE, interface("t", mute, EVERYTHING), 7400).why
    assert reach.reachable(interface("s", closed), interface("t", closed, EVERYTHING), 7400).yes


def test_vpcs_are_apart_unless_routes_lead_both_ways() -> None:
    far = place("c", "10.9.1.0/24", vpc="vpc-2")
    target = interface("t", far, EVERYTHING)
    assert "no route" in reach.reachable(SOURCE, target, 80).why
    there = replace(A, routes=(RouteTo(IPv4Network("10.9.0.0/16"), reach.PEERING, vpc="vpc-2"),))
    assert not reach.reachable(replace(SOURCE, place=there), target, 80).yes
    back = replace(far, routes=(RouteTo(IPv4Network("10.0.0.0/16"), reach.PEERING, vpc="vpc-1"),))
    assert reach.reachable(replace(SOURCE, place=there), replace(target, place=back), 80).yes


def test_the_most_specific_route_decides() -> None:
    wide, narrow = RouteTo(ALL, reach.INTERNET_GATEWAY), RouteTo(IPv4Network("10.0.0.0/8"), reach.LOCAL)
    assert reach.route_of(replace(A, routes=(wide, narrow)), IPv4Network("10.1.1.0/24")) is narrow
    assert reach.route_of(replace(A, routes=(wide, narrow)), IPv4Network("8.8.8.8/32")) is wide


ALL6 = IPv6Network("::/0")
A6 = replace(A, network6=IPv6Network("2600:1f18::/64"), acl_in=(), acl_out=())
B6 = replace(B, network6=IPv6Network("2600:1f18:0:1::/64"), acl_in=(), acl_out=())
OPEN6 = (AclRule(101, "-1", 0, 65535, ALL6, allow=True),)
OUT6 = Allowance("-1", 0, 65535, ALL6)
RULES6 = [
    ("everything", OUT6, True),
    ("by its range", Allowance("tcp", 7400, 7400, A6.network6), True),
    ("by another range", Allowance("tcp", 7400, 7400, B6.network6), False),
    ("by IPv4 only", EVERYTHING, False),
    ("by group", Allowance("tcp", 7400, 7400, group="sg-s"), True),
]


@pytest.mark.parametrize(("rule", "yes"), [row[1:] for row in RULES6], ids=[row[0] for row in RULES6])
def test_a_rule_of_ipv6_is_not_one_of_ipv4(rule: Allowance, yes: bool) -> None:
    here, there = replace(A6, acl_in=OPEN6, acl_out=OPEN6), replace(B6, acl_in=OPEN6, acl_out=OPEN6)
    source = interface("s", here, ways_out=(OUT6,))
    assert reach.reachable(source, interface("t", there, rule), 7400, version=6).yes is yes
    assert not reach.reachable(source, interface("t", there, OUT6), 7400).yes


def test_ipv6_needs_a_range_and_entries_of_its_own_in_the_acl() -> None:
    source, target = interface("s", A6, ways_out=(OUT6,)), interface("t", B6, OUT6)
    assert "no IPv6 range" in reach.reachable(SOURCE, target, 80, version=6).why
    assert "ACL of a denies" in reach.reachable(source, target, 80, version=6).why
    only4 = replace(A6, acl_in=OPEN, acl_out=OPEN)
    assert "ACL of a denies" in reach.reachable(replace(source, place=only4), target, 80, version=6).why


IGW6, EGRESS = RouteTo(ALL6, reach.INTERNET_GATEWAY), RouteTo(ALL6, reach.EGRESS_ONLY)
WAYS_OUT = [
    ("no route", (), 6, False),
    ("an internet gateway, without a public address", (IGW6,), 6, True),
    ("an egress-only gateway", (EGRESS,), 6, True),
    ("IPv4's gateway is not IPv6's", (RouteTo(ALL, reach.INTERNET_GATEWAY),), 6, False),
    ("an egress-only gateway is not IPv4's", (EGRESS,), 4, False),
    ("a peer", (RouteTo(ALL6, reach.PEERING, vpc="vpc-2"),), 6, False),
]


@pytest.mark.parametrize(("routes", "version", "yes"), [row[1:] for row in WAYS_OUT], ids=[row[0] for row in WAYS_OUT])
def test_the_ways_out_of_a_subnet(routes: tuple[RouteTo, ...], version: int, yes: bool) -> None:
    subnet = replace(A6, routes=routes, acl_in=(*OPEN, *OPEN6), acl_out=(*OPEN, *OPEN6))
    assert reach.internet_from(subnet, public=False, version=version).yes is yes


def test_nothing_comes_in_by_an_egress_only_gateway() -> None:
    opened = replace(A6, acl_in=OPEN6, acl_out=OPEN6)
    target = interface("t", replace(opened, routes=(EGRESS,)), OUT6)
    assert "internet gateway" in reach.reachable(None, target, 443, version=6).why
    assert reach.reachable(None, replace(target, place=replace(opened, routes=(IGW6,))), 443, version=6).yes


@pytest.fixture
def control(localcloud_aws: FrontProcess) -> Iterator[Control]:
    with Control(localcloud_aws.url) as one:
        yield one


@pytest.fixture
def vpc(localcloud_aws: FrontProcess) -> tuple[str, str, str]:
    """A VPC of the test's own, with two subnets."""
    ec2 = localcloud_aws.client("ec2")
    made = ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=made, CidrBlock=f"10.50.{n}.0/24", AvailabilityZone="us-east-1a")["Subnet"]["SubnetId"]
        for n in (1, 2)
    ]
    return made, subnets[0], subnets[1]


def test_instances_reach_each_other_as_their_security_groups_say(
    localcloud_aws: FrontProcess, control: Control, vpc: tuple[str, str, str], unique_name: str
) -> None:
    ec2, (network, here, there) = localcloud_aws.client("ec2"), vpc
    one, other = (
        ec2.create_security_group(GroupName=f"{unique_name}-{kind}", Description="d", VpcId=network)["GroupId"]
        for kind in ("client", "server")
    )
    image = {"ImageId": "ami-headrace", "InstanceType": "m6a.large", "MinCount": 1, "MaxCount": 1}
    source, target = (
        ec2.run_instances(**image, SubnetId=subnet, SecurityGroupIds=[group])["Instances"][0]["InstanceId"]
        for subnet, group in ((here, one), (there, other))
    )
    assert control.reachable(source, target, 7400) == (False, f"no ingress rule of {other} allows tcp 7400")
    permission = {"IpProtocol": "tcp", "FromPort": 7400, "ToPort": 7401, "UserIdGroupPairs": [{"GroupId": one}]}
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[permission])
    assert control.reachable(source, target, 7400)[0]
    assert not control.reachable(target, source, 7400)[0]
    assert not control.reachable(source, target, 7402)[0]
    acl = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [network]}])["NetworkAcls"][0]["NetworkAclId"]
    entry = {"NetworkAclId": acl, "RuleNumber": 10, "Protocol": "6", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0"}
    ec2.create_network_acl_entry(**entry, Egress=False, PortRange={"From": 7400, "To": 7400})
    assert "network ACL" in control.reachable(source, target, 7400)[1]
    assert "no public address" in control.reachable("internet", target, 7401)[1]
    with pytest.raises(ControlRefusedError, match="does not exist"):
        control.reachable(source, "i-nothing", 7400)
    with pytest.raises(ControlRefusedError, match="port must be"):
        control.reachable(source, target, 0)


def test_a_subnet_reaches_the_internet_by_a_gateway_or_by_nat(
    localcloud_aws: FrontProcess, control: Control, vpc: tuple[str, str, str]
) -> None:
    ec2, (network, public, private) = localcloud_aws.client("ec2"), vpc
    assert control.internet_from(public) == (False, f"{public} has no route to 0.0.0.0/0")
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=network)
    tables = {}
    for subnet in (public, private):
        tables[subnet] = ec2.create_route_table(VpcId=network)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=tables[subnet], SubnetId=subnet)
    ec2.create_route(RouteTableId=tables[public], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    assert control.internet_from(public)[0]
    assert not control.internet_from(public, public=False)[0]
    assert not control.internet_from(private)[0]
    nat = ec2.create_nat_gateway(SubnetId=public, AllocationId=ec2.allocate_address(Domain="vpc")["AllocationId"])
    way = nat["NatGateway"]["NatGatewayId"]
    ec2.create_route(RouteTableId=tables[private], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=way)
    assert control.internet_from(private, public=False) == (True, "by a NAT gateway")
    ec2.delete_route(RouteTableId=tables[public], DestinationCidrBlock="0.0.0.0/0")
    assert "no way out" in control.internet_from(private)[1]


def test_ipv6_and_prefix_lists_are_evaluated_too(
    localcloud_aws: FrontProcess, control: Control, unique_name: str
) -> None:
    ec2 = localcloud_aws.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.60.0.0/16", AmazonProvidedIpv6CidrBlock=True)["Vpc"]
    block = network["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"].replace("/56", "/64")
    zone = {"VpcId": network["VpcId"], "AvailabilityZone": "us-east-1a"}
    subnet = ec2.create_subnet(**zone, CidrBlock="10.60.1.0/24", Ipv6CidrBlock=block)["Subnet"]["SubnetId"]
    ranges = {"Cidr": "10.60.0.0/16", "Description": "ours"}
    known = ec2.create_managed_prefix_list(
        PrefixListName=unique_name, MaxEntries=5, AddressFamily="IPv4", Entries=[ranges]
    )["PrefixList"]["PrefixListId"]
    group = ec2.create_security_group(GroupName=unique_name, Description="d", VpcId=network["VpcId"])["GroupId"]
    ways_in = {"IpProtocol": "tcp", "FromPort": 7400, "ToPort": 7400, "PrefixListIds": [{"PrefixListId": known}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ways_in])
    image = {"ImageId": "ami-headrace", "InstanceType": "m6a.large", "SubnetId": subnet, "SecurityGroupIds": [group]}
    made = ec2.run_instances(**image, MinCount=2, MaxCount=2)["Instances"]
    source, target = (one["InstanceId"] for one in made)
    assert control.reachable(source, target, 7400)[0]
    assert "no ingress rule" in control.reachable(source, target, 7401)[1]
    assert control.reachable(source, target, 7400, ip=6) == (False, f"no ingress rule of {group} allows tcp 7400")
    assert control.internet_from(subnet, ip=6) == (False, f"{subnet} has no route to ::/0")
    table = ec2.create_route_table(VpcId=network["VpcId"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    gateway = ec2.create_egress_only_internet_gateway(VpcId=network["VpcId"])["EgressOnlyInternetGateway"]
    way = gateway["EgressOnlyInternetGatewayId"]
    ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="::/0", EgressOnlyInternetGatewayId=way)
    assert control.internet_from(subnet, ip=6) == (True, "by its egress-only internet gateway")
    acl = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [network["VpcId"]]}])["NetworkAcls"][0]
    entry = {"NetworkAclId": acl["NetworkAclId"], "RuleNumber": 99, "Protocol": "-1", "RuleAction": "deny"}
    ec2.create_network_acl_entry(**entry, Egress=True, Ipv6CidrBlock="::/0")
    assert "network ACL" in control.internet_from(subnet, ip=6)[1]
    with pytest.raises(ControlRefusedError, match="ip must be 4 or 6"):
        control.internet_from(subnet, ip=5)
