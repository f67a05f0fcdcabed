"""The machine's place in its Auto Scaling Group: the two hooks it answers, and what the group wants of it."""

import time

import structlog

from dataplane.agent.aws import NodeAws
from dataplane.agent.machine import TARGET_TERMINATED, Metadata
from shared.contracts.node import UserData
from shared.domain.errors import HeadraceError, Unavailable

TRIES_MAX = 5
RETRY_FIRST_S = 0.3
LOG = structlog.get_logger()


class Lifecycle:
    """Of one machine."""

    def __init__(self, aws: NodeAws, metadata: Metadata) -> None:
        """Asks nothing yet."""
        self._aws = aws
        self._metadata = metadata

    def is_terminating(self) -> bool:
        """Whether the group is taking the machine away."""
        try:
            return self._metadata.target_state() == TARGET_TERMINATED
        except HeadraceError as e:  # the metadata service is away for a moment: nobody has said so
            LOG.info("metadata is away", why=str(e))
            return False

    def complete(self, hook: str, result: str, user_data: UserData, instance: str) -> None:
        """Answer a hook; where no action waits there is nothing to answer."""
        asg = f"{user_data.workspace}-{user_data.fleet}"
        for attempt in range(TRIES_MAX):
            try:
                self._aws.complete_hook(asg, hook, instance, result)
            except Unavailable as e:
                LOG.info("hook not completed", hook=hook, why=str(e))
                time.sleep(RETRY_FIRST_S * 2**attempt)
            except HeadraceError as e:  # a process that was started again, or a group without hooks
                LOG.info("no hook to complete", hook=hook, why=str(e))
                return
            else:
                LOG.info("hook completed", hook=hook, result=result)
                return
