"""Auto Scaling's messages into moto's SNS and SQS, on a thread of its own: the model sends while it holds its lock.

A topic passes a message on to the queues that are subscribed to it; other subscriptions (HTTP, e-mail) get nothing here.
"""

import logging
import threading
from queue import Full, Queue

from moto.core.exceptions import ServiceException

from localcloud.aws.autoscaling.messages import Message
from localcloud.aws.moto_services import MotoServices

log = logging.getLogger(__name__)
WAITING_MAX = 10_000
QUEUE_PREFIX = "arn:aws:sqs:"


class Messenger:
    """Implements `Messages`; `start` and `close` its thread."""

    def __init__(self, services: MotoServices) -> None:
        """`services` has the topics and queues."""
        self._services = services
        self._waiting: Queue[Message | None] = Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="messages", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def close(self) -> None:
        """Deliver what is waiting, and end."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def send(self, target: str, subject: str, text: str) -> None:
        """Have it delivered."""
        try:
            self._waiting.put_nowait(Message(target, subject, text))
        except Full:
            log.warning("%s messages wait: one to %s is lost", WAITING_MAX, target)

    def _run(self) -> None:
        while (message := self._waiting.get()) is not None:
            try:
                with self._services.lock:
                    self._deliver(message)
            except ServiceException as error:
                log.warning("a message to %s could not be delivered: %s", message.target, error)

    def _deliver(self, message: Message) -> None:
        if message.target.startswith(QUEUE_PREFIX):
            queue = message.target.rpartition(":")[2]
            self._services.backend("sqs").send_message(queue, message.text)
            return
        topic = self._services.backend("sns").topics.get(message.target)
        if topic is None:
            log.warning("there is no topic %s: a message is lost", message.target)
            return
        for subscription in topic.sns_backend.list_subscriptions_by_topic(topic_arn=topic.arn)[0]:
            if subscription.protocol == "sqs":
                subscription.publish(message.text, "", subject=message.subject)
