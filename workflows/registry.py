"""Every workflow that the worker runs."""

from workflows.apply_objects import ApplyObjects
from workflows.build_environment import BuildEnvironment
from workflows.check_drift import CheckDrift
from workflows.deploy_group import DeployGroup
from workflows.destroy_object import DestroyObject
from workflows.provision_group import ProvisionGroup
from workflows.provision_pipeline import ProvisionPipeline
from workflows.ramp_traffic import RampTraffic
from workflows.rate_group import RateGroup, RemoveCopy
from workflows.redrive_dead_letters import RedriveDeadLetters
from workflows.roll_back import RollBack
from workflows.scale_group import ScaleGroup
from workflows.sweep import Sweep

WORKFLOWS: tuple[type, ...] = (
    ApplyObjects,
    BuildEnvironment,
    CheckDrift,
    DeployGroup,
    DestroyObject,
    ProvisionGroup,
    ProvisionPipeline,
    RampTraffic,
    RateGroup,
    RedriveDeadLetters,
    RemoveCopy,
    RollBack,
    ScaleGroup,
    Sweep,
)
