"""The network as moto's books of EC2 have it, in the words of `reach`."""

from ipaddress import IPv4Network
from typing import Any

from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.moto_services import MotoServices
from localcloud.aws.network import reach
from localcloud.aws.network.reach import AclRule, Allowance, Interface, Place, RouteTo, Verdict

PROTOCOLS = {"6": "tcp", "17": "udp", "-1": reach.ANY}
THE_INTERNET = "internet"


class Network:
    """Answers questions about an account's network; AwsError when something asked about is not there."""

    def __init__(self, services: MotoServices) -> None:
        """Reads moto's EC2 each time it is asked."""
        self._services = services

    def reachable(self, source: str, target: str, port: int, protocol: str = "tcp") -> Verdict:
        """Whether one instance (or "internet") can connect to a port of another."""
        if not 1 <= port <= reach.PORT_MAX:
            raise ValidationError(f"port must be 1 to {reach.PORT_MAX}: {port}")
        if protocol not in {"tcp", "udp"}:
            raise ValidationError(f"protocol must be tcp or udp: {protocol}")
        with self._services.lock:
            start = None if source == THE_INTERNET else self._interface(source)
            return reach.reachable(start, self._interface(target), port, protocol)

    def internet_from(self, subnet: str, *, public: bool = True) -> Verdict:
        """Whether machines of a subnet can reach the internet; `public`: they have public addresses."""
        with self._services.lock:
            ec2 = self._services.backend("ec2")
            places = [self._place(one) for zone in ec2.subnets.values() for one in zone.values()]
        found = next((place for place in places if place.id == subnet), None)
        if found is None:
            raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet}' does not exist")
        return reach.internet_from(found, places, public=public)

    def _interface(self, instance_id: str) -> Interface:
        ec2 = self._services.backend("ec2")
        every = (one for reservation in ec2.reservations.values() for one in reservation.instances)
        instance = next((one for one in every if one.id == instance_id and one.state != "terminated"), None)
        if instance is None:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
        groups = [ec2.get_security_group_from_id(group.id) for group in instance.security_groups]
        return Interface(
            id=instance_id,
            place=self._place(ec2.get_subnet(instance.subnet_id)),
            groups=frozenset(group.id for group in groups),
            ways_in=[allowance(rule) for group in groups for rule in group.ingress_rules],
            ways_out=[allowance(rule) for group in groups for rule in group.egress_rules],
            public=bool(instance.public_ip),
        )

    def _place(self, subnet: Any) -> Place:
        ec2 = self._services.backend("ec2")
        tables = [table for table in ec2.route_tables.values() if table.vpc_id == subnet.vpc_id]
        own = [table for table in tables if any(a.get("SubnetId") == subnet.id for a in table.associations)]
        main = [table for table in tables if table.main_association_id]
        acls = [acl for acl in ec2.network_acls.values() if any(a.subnet_id == subnet.id for a in acl.associations)]
        entries = [entry for acl in acls for entry in acl.entries if entry.cidr_block]
        routes = [route for table in (own or main)[:1] for route in table.routes]
        return Place(
            id=subnet.id,
            vpc=subnet.vpc_id,
            network=IPv4Network(subnet.cidr_block),
            routes=[found for route in routes if (found := route_to(route, subnet.vpc_id)) is not None],
            acl_in=[acl_rule(entry) for entry in entries if not is_egress(entry)],
            acl_out=[acl_rule(entry) for entry in entries if is_egress(entry)],
        )


def allowance(rule: Any) -> Allowance:
    """A security group's rule; one without ports is for all of them."""
    protocol = PROTOCOLS.get(str(rule.ip_protocol), str(rule.ip_protocol))
    first, last = (0, reach.PORT_MAX) if rule.from_port in {None, -1} else (int(rule.from_port), int(rule.to_port))
    cidr = rule.ip_range.get("CidrIp")
    return Allowance(
        protocol, first, last, IPv4Network(cidr) if cidr else None, str(rule.source_group.get("GroupId") or "")
    )


def acl_rule(entry: Any) -> AclRule:
    """An entry of a network ACL."""
    protocol = PROTOCOLS.get(str(entry.protocol), str(entry.protocol))
    first = int(entry.port_range_from) if entry.port_range_from is not None else 0
    last = int(entry.port_range_to) if entry.port_range_to is not None else reach.PORT_MAX
    allows = entry.rule_action == "allow"
    return AclRule(int(entry.rule_number), protocol, first, last, IPv4Network(entry.cidr_block), allows)


def is_egress(entry: Any) -> bool:
    """Moto keeps it as it came: a truth value or its name."""
    return str(entry.egress).lower() == "true"


def route_to(route: Any, vpc: str) -> RouteTo | None:
    """A route, if it is one of IPv4 to a kind of target that is evaluated."""
    if not route.destination_cidr_block:
        return None
    cidr = IPv4Network(route.destination_cidr_block)
    if route.local:
        return RouteTo(cidr, reach.LOCAL)
    if route.gateway is not None and str(route.gateway.id).startswith("igw-"):
        return RouteTo(cidr, reach.INTERNET_GATEWAY)
    if route.nat_gateway is not None:
        public = getattr(route.nat_gateway, "connectivity_type", "public") != "private"
        return RouteTo(cidr, reach.NAT, subnet=route.nat_gateway.subnet_id if public else "")
    if route.vpc_pcx is not None:
        ends = {route.vpc_pcx.vpc.id, route.vpc_pcx.peer_vpc.id} - {vpc}
        return RouteTo(cidr, reach.PEERING, vpc=ends.pop() if ends else vpc)
    return None
