"""The network as moto's books of EC2 have it, in the words of `reach`."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.moto_services import MotoServices
from localcloud.aws.network import reach
from localcloud.aws.network.reach import AclRule, Allowance, Interface, Place, Range, RouteTo, Verdict

PROTOCOLS = {"6": "tcp", "17": "udp", "-1": reach.ANY}
THE_INTERNET = "internet"
ALLOWED6 = AclRule(
    101, reach.ANY, 0, reach.PORT_MAX, reach.EVERYWHERE[reach.IPV6], allow=True
)  # AWS gives it to a VPC's own ACL


class Network:
    """Answers questions about an account's network; AwsError when something asked about is not there."""

    def __init__(self, services: MotoServices) -> None:
        """Reads moto's EC2 each time it is asked."""
        self._services = services

    def reachable(
        self, source: str, target: str, port: int, protocol: str = "tcp", version: int = reach.IPV4
    ) -> Verdict:
        """Whether one instance (or "internet") can connect to a port of another."""
        if not 1 <= port <= reach.PORT_MAX:
            raise ValidationError(f"port must be 1 to {reach.PORT_MAX}: {port}")
        if protocol not in {"tcp", "udp"}:
            raise ValidationError(f"protocol must be tcp or udp: {protocol}")
        check_version(version)
        with self._services.lock:
            start = None if source == THE_INTERNET else self._interface(source)
            return reach.reachable(start, self._interface(target), port, protocol, version)

    def internet_from(self, subnet: str, *, public: bool = True, version: int = reach.IPV4) -> Verdict:
        """Whether machines of a subnet can reach the internet; `public`: they have public addresses."""
        check_version(version)
        with self._services.lock:
            ec2 = self._services.backend("ec2")
            places = [self._place(one) for zone in ec2.subnets.values() for one in zone.values()]
        found = next((place for place in places if place.id == subnet), None)
        if found is None:
            raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet}' does not exist")
        return reach.internet_from(found, places, public=public, version=version)

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
            ways_in=[way for group in groups for rule in group.ingress_rules for way in self._allowances(rule)],
            ways_out=[way for group in groups for rule in group.egress_rules for way in self._allowances(rule)],
            public=bool(instance.public_ip),
        )

    def _place(self, subnet: Any) -> Place:
        ec2 = self._services.backend("ec2")
        tables = [table for table in ec2.route_tables.values() if table.vpc_id == subnet.vpc_id]
        own = [table for table in tables if any(a.get("SubnetId") == subnet.id for a in table.associations)]
        main = [table for table in tables if table.main_association_id]
        acls = [acl for acl in ec2.network_acls.values() if any(a.subnet_id == subnet.id for a in acl.associations)]
        entries = [entry for acl in acls for entry in acl.entries if entry.cidr_block or entry.ipv6_cidr_block]
        own6 = [ALLOWED6] if any(str(acl.default).lower() == "true" for acl in acls) else []
        routes = [route for table in (own or main)[:1] for route in table.routes]
        return Place(
            id=subnet.id,
            vpc=subnet.vpc_id,
            network=IPv4Network(subnet.cidr_block),
            routes=[found for route in routes for found in self._routes(route, subnet.vpc_id)],
            acl_in=[acl_rule(entry) for entry in entries if not is_egress(entry)] + own6,
            acl_out=[acl_rule(entry) for entry in entries if is_egress(entry)] + own6,
            network6=range6_of(subnet),
        )

    def _allowances(self, rule: Any) -> Iterator[Allowance]:
        """A security group's rule, for each range or group that it names; one without ports is for all of them."""
        protocol = PROTOCOLS.get(str(rule.ip_protocol), str(rule.ip_protocol))
        first, last = (0, reach.PORT_MAX) if rule.from_port in {None, -1} else (int(rule.from_port), int(rule.to_port))
        for name in ("CidrIp", "CidrIpv6"):
            if cidr := rule.ip_range.get(name):
                yield Allowance(protocol, first, last, ip_network(cidr, strict=False))
        if group := rule.source_group.get("GroupId"):
            yield Allowance(protocol, first, last, group=str(group))
        for cidr in self._prefixes(rule.prefix_list_id):
            yield Allowance(protocol, first, last, cidr)

    def _routes(self, route: Any, vpc: str) -> Iterator[RouteTo]:
        """A route, for each range that it leads to, if its target is of a kind that is evaluated."""
        listed = route.destination_prefix_list.id if route.destination_prefix_list else None
        named = [one for one in (route.destination_cidr_block, route.destination_ipv6_cidr_block) if one]
        for cidr in (*(ip_network(one, strict=False) for one in named), *self._prefixes(listed)):
            if (found := route_to(route, cidr, vpc)) is not None:
                yield found

    def _prefixes(self, list_id: str | None) -> list[Range]:
        """The ranges of a prefix list, as its newest version has them."""
        found = self._services.backend("ec2").managed_prefix_lists.get(list_id) if list_id else None
        entries = found.entries.get(found.version, ()) if found is not None else ()
        return [ip_network(entry["Cidr"], strict=False) for entry in entries]


def check_version(version: int) -> None:
    """ValidationError unless it is IPv4 or IPv6."""
    if version not in reach.EVERYWHERE:
        raise ValidationError(f"ip must be 4 or 6: {version}")


def range6_of(subnet: Any) -> IPv6Network | None:
    """A subnet's IPv6 range, if it has one now."""
    kept = subnet.ipv6_cidr_block_associations.values()
    found = next((one for one in kept if one["ipv6CidrBlockState"]["State"] == "associated"), None)
    return IPv6Network(found["ipv6CidrBlock"]) if found is not None else None


def acl_rule(entry: Any) -> AclRule:
    """An entry of a network ACL."""
    protocol = PROTOCOLS.get(str(entry.protocol), str(entry.protocol))
    first = int(entry.port_range_from) if entry.port_range_from is not None else 0
    last = int(entry.port_range_to) if entry.port_range_to is not None else reach.PORT_MAX
    allows = entry.rule_action == "allow"
    cidr = ip_network(entry.cidr_block or entry.ipv6_cidr_block, strict=False)
    return AclRule(int(entry.rule_number), protocol, first, last, cidr, allows)


def is_egress(entry: Any) -> bool:
    """Moto keeps it as it came: a truth value or its name."""
    return str(entry.egress).lower() == "true"


def route_to(route: Any, cidr: Range, vpc: str) -> RouteTo | None:
    """What a route leads to; None for a kind of target that is not evaluated."""
    if route.local:
        return RouteTo(cidr, reach.LOCAL)
    if route.gateway is not None and str(route.gateway.id).startswith("igw-"):
        return RouteTo(cidr, reach.INTERNET_GATEWAY)
    if route.egress_only_igw is not None:
        return RouteTo(cidr, reach.EGRESS_ONLY)
    if route.nat_gateway is not None:
        public = getattr(route.nat_gateway, "connectivity_type", "public") != "private"
        return RouteTo(cidr, reach.NAT, subnet=route.nat_gateway.subnet_id if public else "")
    if route.vpc_pcx is not None:
        ends = {route.vpc_pcx.vpc.id, route.vpc_pcx.peer_vpc.id} - {vpc}
        return RouteTo(cidr, reach.PEERING, vpc=ends.pop() if ends else vpc)
    return None
