"""Task queues, workflow names and ids."""

WORKFLOWS = "headrace-workflows"
OBSERVER = "headrace-observer"
DEPLOYER = "headrace-deployer"
PROVISIONER = "headrace-provisioner"
AUTOSCALER = "headrace-autoscaler"
ADMIN = "headrace-admin"


def deploy_id(group: str) -> str:
    """One deployment at a time per group."""
    return f"deploy/{group}"


def rollback_id(group: str) -> str:
    """One rollback at a time per group."""
    return f"rollback/{group}"


def provision_id(kind: str, name: str) -> str:
    """`kind` is server-group or pipeline."""
    return f"provision/{kind}/{name}"


def ramp_id(pipeline: str) -> str:
    """One ramp at a time per pipeline."""
    return f"ramp/{pipeline}"


def scale_id(group: str) -> str:
    """One scaling at a time per group."""
    return f"scale/{group}"


def environment_id(name: str) -> str:
    """The build of an environment."""
    return f"environment/{name}"


def apply_id(plan: str) -> str:
    """A plan is applied once."""
    return f"apply/{plan}"


def destroy_id(kind: str, name: str) -> str:
    """`kind` is environment, server-group or pipeline."""
    return f"destroy/{kind}/{name}"


def redrive_id(pipeline: str, stage: str) -> str:
    """One redrive at a time per stage."""
    return f"redrive/{pipeline}/{stage}"


def rate_id(group: str) -> str:
    """One rating at a time per group; what clears up after one has the same id."""
    return f"rate/{group}"


CHECK_DRIFT_SCHEDULE = "check-drift"
SWEEP_SCHEDULE = "sweep"
