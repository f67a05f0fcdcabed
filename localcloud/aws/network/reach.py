"""Whether a connection would come about, after the VPC user guide: security groups, network ACLs, route tables.

Security groups allow and remember: the way out of the source and the way into the target must each be allowed by one rule, and answers
pass. Network ACLs are evaluated by rule number, the first that matches decides, and they forget: the answers' way back, to an
ephemeral port, must be allowed too. Of a route table's routes the most specific one decides. An instance stands for its subnet's
whole range: a CIDR rule lets it pass when it covers all of it. IPv4 and IPv6 are asked for each by itself; an IPv6 address is public, and
an egress-only gateway lets its packets out and nothing in but answers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

Range = IPv4Network | IPv6Network
IPV4, IPV6 = 4, 6
INTERNET = IPv4Network("0.0.0.0/0")
EVERYWHERE: dict[int, Range] = {IPV4: INTERNET, IPV6: IPv6Network("::/0")}
ANY = "-1"
EPHEMERAL = (1024, 65535)
PORT_MAX = 65535
LOCAL, INTERNET_GATEWAY, NAT, PEERING = "local", "internet-gateway", "nat", "peering"
EGRESS_ONLY = "egress-only-gateway"


@dataclass(slots=True, frozen=True)
class Verdict:
    """Whether, and by what or for want of what."""

    yes: bool
    why: str


@dataclass(slots=True, frozen=True)
class Allowance:
    """A rule of a security group; a peer is a CIDR or another group."""

    protocol: str  # "tcp", "udp" or ANY
    first: int
    last: int
    cidr: Range | None = None
    group: str = ""

    def covers(self, protocol: str, port: int, peer: "Interface | None", version: int = IPV4) -> bool:
        """Whether it lets such packets pass; no peer: the internet."""
        if self.protocol != ANY and not (self.protocol == protocol and self.first <= port <= self.last):
            return False
        if self.group:
            return peer is not None and self.group in peer.groups
        whole = EVERYWHERE[version] if peer is None else peer.place.range(version)
        return self.cidr is not None and whole is not None and within(whole, self.cidr)


@dataclass(slots=True, frozen=True)
class AclRule:
    """An entry of a network ACL."""

    number: int
    protocol: str
    first: int
    last: int
    cidr: Range
    allow: bool


@dataclass(slots=True, frozen=True)
class RouteTo:
    """A route: `kind` is one of LOCAL, INTERNET_GATEWAY, EGRESS_ONLY, NAT, PEERING; `subnet` is a NAT gateway's own."""

    cidr: Range
    kind: str
    subnet: str = ""
    vpc: str = ""


@dataclass(slots=True, frozen=True)
class Place:
    """A subnet: its routes and its network ACL."""

    id: str
    vpc: str
    network: IPv4Network
    routes: Sequence[RouteTo]
    acl_in: Sequence[AclRule]
    acl_out: Sequence[AclRule]
    network6: IPv6Network | None = None

    def range(self, version: int) -> Range | None:
        """Where its addresses are from; None when it has none of that version."""
        return self.network if version == IPV4 else self.network6


@dataclass(slots=True, frozen=True)
class Interface:
    """An instance's, in its subnet; `public`: whether it has a public address."""

    id: str
    place: Place
    groups: frozenset[str]
    ways_in: Sequence[Allowance]
    ways_out: Sequence[Allowance]
    public: bool = False


def reachable(
    source: Interface | None, target: Interface, port: int, protocol: str = "tcp", version: int = IPV4
) -> Verdict:
    """Whether the source (None: the internet) can connect to a port of the target, by IPv4 or IPv6."""
    for one in (source, target):
        if one is not None and one.place.range(version) is None:
            return Verdict(yes=False, why=f"{one.place.id} has no IPv{version} range")
    if refused := apart(source, target, port, protocol, version):
        return refused
    if not any(rule.covers(protocol, port, source, version) for rule in target.ways_in):
        return Verdict(yes=False, why=f"no ingress rule of {names(target)} allows {protocol} {port}")
    if source is None or source.place.id != target.place.id:  # network ACLs stand at the edges of subnets
        there, here = target.place.range(version), source.place.range(version) if source else EVERYWHERE[version]
        if source is not None and there and (refused := barred(source.place, there, port, protocol, way_out=True)):
            return refused
        if here and (refused := barred(target.place, here, port, protocol, way_out=False)):
            return refused
    return Verdict(yes=True, why="security groups, network ACLs and routes allow it")


def apart(source: Interface | None, target: Interface, port: int, protocol: str, version: int) -> Verdict | None:
    """Why no packet gets as far as the target's security groups; None when it does."""
    if source is not None:
        if not any(rule.covers(protocol, port, target, version) for rule in source.ways_out):
            return Verdict(yes=False, why=f"no egress rule of {names(source)} allows {protocol} {port} to {target.id}")
        if source.place.vpc != target.place.vpc and not peered(source.place, target.place, version):
            return Verdict(yes=False, why=f"no route leads from {source.place.id} to {target.place.id} and back")
        return None
    if version == IPV4 and not target.public:
        return Verdict(yes=False, why=f"{target.id} has no public address")
    if (route := route_of(target.place, EVERYWHERE[version])) is None or route.kind != INTERNET_GATEWAY:
        return Verdict(yes=False, why=f"no route of {target.place.id} leads to an internet gateway")
    return None


def internet_from(place: Place, places: Iterable[Place] = (), *, public: bool = True, version: int = IPV4) -> Verdict:
    """Whether a subnet can reach the internet: by a gateway (a public address given), or by a NAT gateway that can."""
    whole = EVERYWHERE[version]
    if place.range(version) is None:
        return Verdict(yes=False, why=f"{place.id} has no IPv{version} range")
    if place.id and (refused := barred(place, whole, 443, "tcp", way_out=True)):
        return refused
    route = route_of(place, whole)
    if route is None:
        return Verdict(yes=False, why=f"{place.id} has no route to {whole}")
    match route.kind:
        case kind if kind == INTERNET_GATEWAY:
            good = public or version == IPV6
            return Verdict(good, "by its internet gateway" if good else "an internet gateway needs a public address")
        case kind if kind == EGRESS_ONLY:
            return Verdict(yes=True, why="by its egress-only internet gateway")
        case kind if kind == NAT:
            home = next((one for one in places if one.id == route.subnet), None)
            beyond = route_of(home, whole) if home else None
            good = beyond is not None and beyond.kind == INTERNET_GATEWAY
            return Verdict(good, "by a NAT gateway" if good else f"its NAT gateway in {route.subnet} has no way out")
        case kind:
            return Verdict(yes=False, why=f"its route to {whole} leads to a {kind}")


def within(inner: Range, outer: Range) -> bool:
    """Whether a range is a part of another; never of one of the other version.

    >>> within(IPv6Network("2600::/64"), IPv6Network("::/0")), within(IPv6Network("2600::/64"), INTERNET)
    (True, False)
    """
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def route_of(place: Place, network: Range) -> RouteTo | None:
    """The most specific route that covers a network."""
    found = [route for route in place.routes if within(network, route.cidr)]
    return max(found, key=lambda route: route.cidr.prefixlen, default=None)


def peered(one: Place, other: Place, version: int) -> bool:
    """Whether routes lead from each to the other's VPC."""
    for here, there in ((one, other), (other, one)):
        goal = there.range(version)
        route = route_of(here, goal) if goal is not None else None
        if route is None or route.kind != PEERING or route.vpc != there.vpc:
            return False
    return True


def barred(place: Place, peer: Range, port: int, protocol: str, *, way_out: bool) -> Verdict | None:
    """Why a subnet's ACL keeps packets to a port, or their answers, from passing; None when it does not."""
    there, back = (place.acl_out, place.acl_in) if way_out else (place.acl_in, place.acl_out)
    if not _passes(there, peer, (port, port), protocol):
        return Verdict(yes=False, why=f"the network ACL of {place.id} denies {protocol} {port}")
    if not _passes(back, peer, EPHEMERAL, protocol):
        return Verdict(yes=False, why=f"the network ACL of {place.id} denies the answers' ephemeral ports")
    return None


def _passes(rules: Sequence[AclRule], peer: Range, span: tuple[int, int], protocol: str) -> bool:
    """By the first rule that concerns any of it: an ACL that lets only a part of it pass does not let it pass."""
    for rule in sorted(rules, key=lambda one: one.number):
        touches = within(peer, rule.cidr) or within(rule.cidr, peer)  # ranges overlap in no other way
        overlaps = rule.protocol == ANY or (rule.first <= span[1] and span[0] <= rule.last)
        if rule.protocol not in {ANY, protocol} or not touches or not overlaps:
            continue
        whole = rule.protocol == ANY or (rule.first <= span[0] and span[1] <= rule.last)
        if not rule.allow:
            return False
        if whole and within(peer, rule.cidr):
            return True
    return False


def names(interface: Interface) -> str:
    """An interface's security groups, for people."""
    return ", ".join(sorted(interface.groups)) or f"{interface.id} (which has no security group)"
