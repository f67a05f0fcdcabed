"""Applying a plan: what the admin API hands to the workflow `ApplyObjects`, and what can be read of it meanwhile.

Order: environments, server groups (in parallel), deployments of groups whose code, environment or variables changed,
pipelines, then destroys in reverse (pipelines, groups, environments). Destroys are left undone when anything failed.
"""

from typing import Literal

from shared.contracts.base import Contract
from shared.contracts.deployment import DeployInput
from shared.contracts.provisioning import (
    BuildEnvironmentInput,
    DestroyInput,
    ProvisionGroupInput,
    ProvisionPipelineInput,
)

CODE_KEY = "code/{sha256}.tar.gz"  # where the admin API puts a code bundle in the bundle bucket


class ApplyInput(Contract):
    """Workflow `ApplyObjects`."""

    plan_id: str
    request_id: str
    environments: tuple[BuildEnvironmentInput, ...] = ()
    groups: tuple[ProvisionGroupInput, ...] = ()
    deploys: tuple[DeployInput, ...] = ()
    pipelines: tuple[ProvisionPipelineInput, ...] = ()
    destroys: tuple[DestroyInput, ...] = ()


class ObjectProgress(Contract):
    """One line of the query `progress`: `object` is `<kind>/<name>`, for a deployment `deployment/<group>`."""

    object: str
    state: Literal["waiting", "running", "done", "refused", "failed", "skipped", "cancelled"] = "waiting"
    text: str = ""
    workflow_id: str = ""  # that works on it while it is running; its own `progress` says more
