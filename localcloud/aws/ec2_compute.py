"""EC2 as Auto Scaling uses it: machines of ours, entered in moto's books so that DescribeInstances tells the truth.

moto loses what the launch template says about profile, metadata options and security groups; here it reaches the
instance. Each instance gets an address of 127.1.0.0/16 of its own, where its process binds its ports.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException

from localcloud.aws.autoscaling.allocation import Pool
from localcloud.aws.autoscaling.clock import Clock
from localcloud.aws.autoscaling.compute import Condition, Launched, LaunchOrder, Stray, check_spot_price
from localcloud.aws.autoscaling.plans import TemplateRef
from localcloud.aws.balancing import Balancing
from localcloud.aws.errors import AwsError, LaunchRefused, ValidationError
from localcloud.aws.faults import Faults
from localcloud.aws.launch_templates import LaunchTemplates
from localcloud.aws.machines import Addresses, Machines, Power
from localcloud.aws.moto_services import AMI, MotoServices, ended_at
from localcloud.aws.pricing.table import on_demand_usd, spot_usd
from localcloud.aws.state_file import StateFile
from localcloud.aws.target_health import TargetState

RUNNING, PENDING, STOPPED = ("running", 16), ("pending", 0), ("stopped", 80)
TERMINATED_KEPT_S = 3600.0
PURCHASE = {True: "spot", False: "on-demand"}
REBALANCE_MARK = "rebalance-recommendation"


class Ec2Compute:
    """Implements `Compute` on moto's EC2 and load balancing."""

    def __init__(  # noqa: PLR0913  what a cloud is made of
        self,
        services: MotoServices,
        machines: Machines,
        addresses: Addresses,
        faults: Faults,
        clock: Clock,
        boot_s: Callable[[], float],
        state: StateFile,
    ) -> None:
        """`boot_s` gives each machine's boot time; `state` keeps what EC2 has recommended."""
        self._services, self._machines, self._addresses = services, machines, addresses
        self._faults, self._clock, self._boot_s = faults, clock, boot_s
        self.balancing, self._templates = Balancing(services, clock), LaunchTemplates(services)
        self._state = state
        self.risky: dict[str, float] = state.marks(
            REBALANCE_MARK
        )  # whose spot capacity EC2 may want back -> since when
        self._instances: dict[str, Any] = {}
        self._addresses.used.update(i.private_ip for i in self._all() if i.state != "terminated")

    def find(self, template: TemplateRef) -> TemplateRef:
        """The template with id and name, its version as given."""
        return self._templates.find(template)

    def resolve(self, template: TemplateRef) -> tuple[TemplateRef, str]:
        """The template with its version as a number, and its instance type."""
        return self._templates.resolve(template)

    def zone_of(self, subnet: str) -> str:
        """The zone of a subnet."""
        with self._services.lock:
            try:
                return str(self._ec2.get_subnet(subnet).availability_zone)
            except ServiceException as error:
                raise ValidationError(f"The subnet ID '{subnet}' does not exist") from error

    def default_subnets(self, zones: list[str]) -> list[str]:
        """The default subnets of zones."""
        with self._services.lock:
            subnets = self._ec2.get_default_subnets()
        missing = [zone for zone in zones if zone not in subnets]
        if missing:
            raise ValidationError(f"Invalid availability zones: {', '.join(missing)}")
        return [subnets[zone].id for zone in zones]

    def pool(self, instance_type: str, zone: str, spot: bool) -> Pool:  # noqa: FBT001  one of three coordinates
        """Prices from the table; room as the faults leave it."""
        factor = self._faults.spot_factor(instance_type, zone)
        price = spot_usd(instance_type, zone, factor) if spot else on_demand_usd(instance_type, self._services.region)
        room = self._faults.room(instance_type, zone, PURCHASE[spot])
        return Pool(math.inf if price is None else float(price), room)

    def launch(self, order: LaunchOrder) -> Launched:
        """Enter a machine in the books; it is switched on by `boot`."""
        check_spot_price(order, self.pool(order.instance_type, order.zone, order.spot).price_usd)
        if not self._faults.take_room(order.instance_type, order.zone, PURCHASE[order.spot]):
            raise LaunchRefused(
                "InsufficientInstanceCapacity",
                f"We currently do not have sufficient {order.instance_type} capacity in the Availability Zone you "
                f"requested ({order.zone}). Our system will be working on provisioning additional capacity.",
            )
        with self._services.lock:
            data = self._templates.data(order.template)
            try:
                instance = self._run(order, data)
            except ServiceException as error:
                raise LaunchRefused(error.code, error.message) from error
            self._services.mark(["ec2"])
        self._instances[instance.id] = instance
        return Launched(instance.id, self._clock.now() + self._boot_s())

    def boot(self, instance_id: str) -> None:
        """Switch the machine on."""
        self._set_state(instance_id, RUNNING)
        if (instance := self.instance(instance_id)) is not None:
            self._machines.boot(instance_id, instance.private_ip)

    def condition(self, instance_id: str) -> Condition:
        """From the books and from the machine."""
        instance = self.instance(instance_id)
        power = self._machines.power(instance_id)
        if instance is None or instance.state == "terminated":
            return Condition.GONE if power in {Power.GONE, Power.OFF} else Condition.STOPPED
        if instance.state in {"stopping", "stopped", "shutting-down"} or power is Power.STOPPED:
            return Condition.STOPPED
        return Condition.IMPAIRED if power in {Power.CRASHED, Power.ENDING, Power.GONE} else Condition.OK

    def end(self, instance_id: str) -> None:
        """Strike it off the books, and end the machine."""
        self._machines.end(instance_id)
        with self._services.lock:
            instance = self.instance(instance_id)
            if instance is not None and instance.state != "terminated":
                address = instance.private_ip
                instance.terminate()
                instance.nics[0].private_ip_address = address  # it is still told of a terminated one
                self._addresses.give_back(address)
            self._services.mark(["ec2"])

    def stop(self, instance_id: str) -> None:
        """Shut the machine down; it keeps its address."""
        self._machines.stop(instance_id)
        self._set_state(instance_id, STOPPED)

    def start(self, instance_id: str) -> float:
        """Begin to start it again."""
        self._set_state(instance_id, PENDING)
        return self._clock.now() + self._boot_s()

    def at_risk(self, instance_id: str) -> bool:
        """Whether there is a rebalance recommendation for it."""
        return instance_id in self.risky

    def recommend(self, instance_id: str) -> None:
        """Recommend that a machine is replaced, from now on; what was recommended before stays."""
        if instance_id in self.risky:
            return
        self.risky[instance_id] = self._clock.now()
        self._state.put_mark(REBALANCE_MARK, instance_id, self.risky[instance_id])

    def stray(self, instance_id: str) -> Stray:
        """A running instance, with the template that its tags name."""
        with self._services.lock:
            instance = self.instance(instance_id)
            if instance is None or instance.state != RUNNING[0]:
                raise ValidationError(f"Invalid Instance ID(s): [{instance_id}]: it must exist and be running")
            tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
            template = TemplateRef(
                tags.get("aws:ec2launchtemplate:id", ""), "", tags.get("aws:ec2launchtemplate:version", "")
            )
            if template.id in self._ec2.launch_templates:
                template = replace(template, name=self._ec2.launch_templates[template.id].name)
            subnet = str(instance.subnet_id)
            return Stray(instance_id, self.zone_of(subnet), subnet, str(instance.instance_type), template)

    def register(self, target: str, instance_id: str) -> None:
        """Add it to a target group or load balancer, unless it has been stopped meanwhile."""
        with self._services.lock:
            instance = self.instance(instance_id)
            if instance is not None and instance.state == RUNNING[0]:
                self.balancing.register(target, instance_id)

    def deregister(self, target: str, instance_id: str) -> float:
        """Take it out of a target group or load balancer; when it has drained."""
        with self._services.lock:
            return self.balancing.deregister(target, instance_id)

    def target_state(self, target: str, instance_id: str) -> TargetState:
        """What a target group or load balancer finds of it."""
        with self._services.lock:
            return self.balancing.find(target, instance_id).state

    def check_target_group(self, target_group: str) -> None:
        """ValidationError if there is no such target group."""
        with self._services.lock:
            self.balancing.check_target_group(target_group)

    def check_load_balancer(self, name: str) -> None:
        """ValidationError if there is no such classic load balancer."""
        with self._services.lock:
            self.balancing.check_load_balancer(name)

    def check_unused(self, security_group: str) -> None:
        """DependencyViolation while an instance that is not terminated has the security group; moto would delete it."""
        for instance in self._all():
            if instance.state != "terminated" and any(g.id == security_group for g in instance.security_groups):
                raise AwsError("DependencyViolation", f"resource {security_group} has a dependent object")

    def instance(self, instance_id: str) -> Any:
        """Moto's record; None when there is none."""
        known = self._instances.get(instance_id)
        if known is None:
            with self._services.lock:
                known = next((i for i in self._all() if i.id == instance_id), None)
            if known is not None:
                self._instances[instance_id] = known
        return known

    def purge(self) -> None:
        """Forget what has been terminated for an hour, as EC2 does."""
        horizon = datetime.fromtimestamp(self._clock.now() - TERMINATED_KEPT_S, UTC)
        with self._services.lock:
            for key, reservation in list(self._ec2.reservations.items()):
                old = [i for i in reservation.instances if i.state == "terminated" and ended_at(i) < horizon]
                for instance in old:
                    reservation.instances.remove(instance)
                    self._instances.pop(instance.id, None)
                    if self.risky.pop(instance.id, None) is not None:
                        self._state.drop_marks(REBALANCE_MARK, [instance.id])
                    self._ec2.iam_instance_profile_associations.pop(instance.id, None)
                    self._services.mark(["ec2"])
                if not reservation.instances:
                    del self._ec2.reservations[key]

    @property
    def _ec2(self) -> Any:
        return self._services.backend("ec2")

    def _all(self) -> list[Any]:
        return [i for reservation in self._ec2.reservations.values() for i in reservation.instances]

    def _run(self, order: LaunchOrder, data: dict[str, Any]) -> Any:
        profile = data.get("IamInstanceProfile") or {}
        instance = self._ec2.run_instances(
            data.get("ImageId") or AMI,
            1,
            data.get("UserData"),
            [],
            instance_type=order.instance_type,
            is_instance_type_default=False,
            region_name=self._services.region,
            subnet_id=order.subnet,
            security_group_ids=self._security_groups(data),
            key_name=data.get("KeyName"),
            monitoring_state="enabled" if (data.get("Monitoring") or {}).get("Enabled") else "disabled",
            associate_public_ip=False,
            metadata_options=data.get("MetadataOptions") or {},
            block_device_mappings=[m for m in data.get("BlockDeviceMappings") or [] if m.get("Ebs")],
            tags={"instance": self._tags(order, data)},
        ).instances[0]
        if profile:
            self._ec2.associate_iam_instance_profile(
                instance.id,
                iam_instance_profile_name=profile.get("Name"),
                iam_instance_profile_arn=profile.get("Arn"),
            )
        instance._state.name, instance._state.code = PENDING  # noqa: SLF001  moto's machines run at once
        instance.lifecycle = "spot" if order.spot else None
        instance.launch_time = datetime.fromtimestamp(self._clock.now(), UTC)
        instance.nics[0].private_ip_address = self._addresses.take()
        return instance

    @staticmethod
    def _security_groups(data: dict[str, Any]) -> list[str]:
        groups = list(data.get("SecurityGroupIds") or [])
        for interface in data.get("NetworkInterfaces") or []:
            groups += interface.get("Groups") or []
        return groups

    @staticmethod
    def _tags(order: LaunchOrder, data: dict[str, Any]) -> dict[str, str]:
        specified = [s for s in data.get("TagSpecifications") or [] if s.get("ResourceType") == "instance"]
        of_template = {tag["Key"]: tag["Value"] for s in specified for tag in s.get("Tags") or []}
        return {
            **of_template,
            **order.tags,
            "aws:autoscaling:groupName": order.group,
            "aws:ec2launchtemplate:id": order.template.id,
            "aws:ec2launchtemplate:version": order.template.version,
        }

    def _set_state(self, instance_id: str, state: tuple[str, int]) -> None:
        with self._services.lock:
            instance = self.instance(instance_id)
            if instance is not None and instance.state != "terminated":
                instance._state.name, instance._state.code = state  # noqa: SLF001  moto has no other way
                self._services.mark(["ec2"])
