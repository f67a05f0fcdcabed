"""Starts `ScaleGroup`: one at a time per group, by its workflow id."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from services.autoscaler.domain.decision import Decision
from services.autoscaler.operations.contract import scale_input
from shared.contracts import queues
from shared.domain.errors import Unavailable

WORKFLOW = "ScaleGroup"
RPC_TIMEOUT_S = 5.0


class TemporalScalings:
    """Implements `ports.Scalings`."""

    def __init__(self, client: Client) -> None:
        """The namespace's client."""
        self._client = client

    async def start(self, decision: Decision) -> bool:
        """See `ports.Scalings`."""
        try:
            await self._client.start_workflow(
                WORKFLOW,
                scale_input(decision),
                id=queues.scale_id(decision.group),
                task_queue=queues.WORKFLOWS,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                rpc_timeout=timedelta(seconds=RPC_TIMEOUT_S),
            )
        except WorkflowAlreadyStartedError:
            return False
        except (RPCError, RuntimeError) as e:  # a lazy client that cannot connect raises RuntimeError
            raise Unavailable(f"start {WORKFLOW} for {decision.group}: {e}", retry_after_s=1.0) from e
        return True
