"""Whether a connection would come about, after the VPC user guide: security groups, network ACLs, route tables.

Security groups allow and remember: the way out of the source and the way into the target must each be allowed by one rule, and answers
pass. Network ACLs are evaluated by rule number, the first that matches decides, and they forget: the answers' way back, to an
ephemeral port, must be allowed too. Of a route table's routes the most specific one decides. An instance stands for its subnet's
whole range: a CIDR rule lets it pass when it covers all of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

INTERNET = IPv4Network("0.0.0.0/0")
ANY = "-1"
EPHEMERAL = (1024, 65535)
PORT_MAX = 65535
LOCAL, INTERNET_GATEWAY, NAT, PEERING = "local", "internet-gateway", "nat", "peering"


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
    cidr: IPv4Network | None = None
    group: str = ""

    def covers(self, protocol: str, port: int, peer: "Interface | None") -> bool:
        """Whether it lets such packets pass; no peer: the internet."""
        if self.protocol != ANY and not (self.protocol == protocol and self.first <= port <= self.last):
            return False
        if peer is None:
            return self.cidr == INTERNET
        return self.group in peer.groups if self.group else self.cidr is not None and peer.network.subnet_of(self.cidr)


@dataclass(slots=True, frozen=True)
class AclRule:
    """An entry of a network ACL."""

    number: int
    protocol: str
    first: int
    last: int
    cidr: IPv4Network
    allow: bool


@dataclass(slots=True, frozen=True)
class RouteTo:
    """A route: `kind` is one of LOCAL, INTERNET_GATEWAY, NAT, PEERING; `subnet` is a NAT gateway's own."""

    cidr: IPv4Network
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


@dataclass(slots=True, frozen=True)
class Interface:
    """An instance's, in its subnet; `public`: whether it has a public address."""

    id: str
    place: Place
    groups: frozenset[str]
    ways_in: Sequence[Allowance]
    ways_out: Sequence[Allowance]
    public: bool = False

    @property
    def network(self) -> IPv4Network:
        """Where its address is from."""
        return self.place.network


def reachable(source: Interface | None, target: Interface, port: int, protocol: str = "tcp") -> Verdict:
    """Whether the source (None: the internet) can connect to a port of the target."""
    from_network = source.network if source else INTERNET
    if source is not None:
        if not any(rule.covers(protocol, port, target) for rule in source.ways_out):
            return Verdict(yes=False, why=f"no egress rule of {names(source)} allows {protocol} {port} to {target.id}")
        if source.place.vpc != target.place.vpc and not peered(source.place, target.place):
            return Verdict(yes=False, why=f"no route leads from {source.place.id} to {target.place.id} and back")
    elif not target.public:
        return Verdict(yes=False, why=f"{target.id} has no public address")
    elif (route := route_of(target.place, INTERNET)) is None or route.kind != INTERNET_GATEWAY:
        return Verdict(yes=False, why=f"no route of {target.place.id} leads to an internet gateway")
    if not any(rule.covers(protocol, port, source) for rule in target.ways_in):
        return Verdict(yes=False, why=f"no ingress rule of {names(target)} allows {protocol} {port}")
    within = source is not None and source.place.id == target.place.id
    if not within:  # network ACLs stand at the edges of subnets
        if source is not None and (refused := barred(source.place, target.network, port, protocol, way_out=True)):
            return refused
        if refused := barred(target.place, from_network, port, protocol, way_out=False):
            return refused
    return Verdict(yes=True, why="security groups, network ACLs and routes allow it")


def internet_from(place: Place, places: Iterable[Place] = (), *, public: bool = True) -> Verdict:
    """Whether a subnet can reach the internet: by a gateway (a public address given), or by a NAT gateway that can."""
    if place.id and (refused := barred(place, INTERNET, 443, "tcp", way_out=True)):
        return refused
    route = route_of(place, INTERNET)
    if route is None:
        return Verdict(yes=False, why=f"{place.id} has no route to 0.0.0.0/0")
    if route.kind == INTERNET_GATEWAY:
        return Verdict(public, "by its internet gateway" if public else "an internet gateway needs a public address")
    if route.kind == NAT:
        home = next((one for one in places if one.id == route.subnet), None)
        beyond = route_of(home, INTERNET) if home else None
        good = beyond is not None and beyond.kind == INTERNET_GATEWAY
        return Verdict(good, "by a NAT gateway" if good else f"its NAT gateway in {route.subnet} has no way out")
    return Verdict(yes=False, why=f"its route to 0.0.0.0/0 leads to a {route.kind}")


def route_of(place: Place, network: IPv4Network) -> RouteTo | None:
    """The most specific route that covers a network."""
    found = [route for route in place.routes if network.subnet_of(route.cidr)]
    return max(found, key=lambda route: route.cidr.prefixlen, default=None)


def peered(one: Place, other: Place) -> bool:
    """Whether routes lead from each to the other's VPC."""
    for here, there in ((one, other), (other, one)):
        route = route_of(here, there.network)
        if route is None or route.kind != PEERING or route.vpc != there.vpc:
            return False
    return True


def barred(place: Place, peer: IPv4Network, port: int, protocol: str, *, way_out: bool) -> Verdict | None:
    """Why a subnet's ACL keeps packets to a port, or their answers, from passing; None when it does not."""
    there, back = (place.acl_out, place.acl_in) if way_out else (place.acl_in, place.acl_out)
    if not _passes(there, peer, (port, port), protocol):
        return Verdict(yes=False, why=f"the network ACL of {place.id} denies {protocol} {port}")
    if not _passes(back, peer, EPHEMERAL, protocol):
        return Verdict(yes=False, why=f"the network ACL of {place.id} denies the answers' ephemeral ports")
    return None


def _passes(rules: Sequence[AclRule], peer: IPv4Network, span: tuple[int, int], protocol: str) -> bool:
    """By the first rule that concerns any of it: an ACL that lets only a part of it pass does not let it pass."""
    for rule in sorted(rules, key=lambda one: one.number):
        concerned = rule.protocol in {ANY, protocol} and rule.cidr.overlaps(peer)
        overlaps = rule.protocol == ANY or (rule.first <= span[1] and span[0] <= rule.last)
        if not concerned or not overlaps:
            continue
        whole = rule.protocol == ANY or (rule.first <= span[0] and span[1] <= rule.last)
        if not rule.allow:
            return False
        if whole and peer.subnet_of(rule.cidr):
            return True
    return False


def names(interface: Interface) -> str:
    """An interface's security groups, for people."""
    return ", ".join(sorted(interface.groups)) or f"{interface.id} (which has no security group)"
