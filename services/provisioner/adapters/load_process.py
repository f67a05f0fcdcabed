"""Load by a process of its own: sending takes a core, and this process has routes to see to."""

import asyncio
import json
import sys
from base64 import b64encode
from dataclasses import asdict
from pathlib import Path
from typing import Any

from services.provisioner.domain.load import Calls, LoadFound, LoadOrder, LoadStep, Posts, TopicFeed
from shared.contracts.node import KafkaAccess
from shared.domain.errors import InvalidInput, Unavailable

MODULE = "dataplane.driving"
BESIDE_S_MAX = 80.0  # beyond the step: start, first call, late answers
WAYS = {Calls: "call", Posts: "post", TopicFeed: "topic"}
ANSWER_BYTES_MAX = 64 * 1024
KEPT_HERE = frozenset({"held", "called_busy", "called_refusals"})  # of a step: the search needs none of them


class LoadProcess:
    """`LoadDriver`."""

    def __init__(self, tls_dir: Path, kafka: KafkaAccess) -> None:
        """The identity that nodes let in, and the broker's: it goes over the driver's standard input only."""
        self._tls_dir = tls_dir
        self._kafka = kafka

    async def drive(self, order: LoadOrder) -> LoadStep | LoadFound:
        """The step that comes next, or what was found. Cancelled, the process ends."""
        asked: dict[str, Any] = {
            "way": {"type": WAYS[type(order.way)], **asdict(order.way)},
            "tls_dir": str(self._tls_dir),
            "kafka": self._kafka.model_dump() if isinstance(order.way, TopicFeed) else None,
            "step_s": order.step_s,
            "first": order.first,
            "latency_s": order.latency_s,
            "errors_max": order.errors_max,
            "events": [b64encode(e).decode() for e in order.events],
            "steps": [{k: v for k, v in asdict(s).items() if k not in KEPT_HERE} for s in order.steps],
            "called": order.called,
        }
        said = await self._run(json.dumps(asked).encode() + b"\n", order)
        if "found" in said:
            return LoadFound(**said["found"])
        if "step" in said:
            return LoadStep(**said["step"])
        error = said.get("error", {})
        if error.get("code") == "InvalidInput":
            raise InvalidInput(
                str(error.get("message")), field="sample", remedy="give what the group takes: --sample FILE"
            )
        raise Unavailable(str(error.get("message") or "the load driver said nothing"), retry_after_s=2.0)

    async def _run(self, asked: bytes, order: LoadOrder) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=ANSWER_BYTES_MAX,
        )
        if process.stdin is None or process.stdout is None:
            raise AssertionError
        where = order.way.topic if isinstance(order.way, TopicFeed) else order.way.address
        limit_s = order.step_s + order.latency_s * 5 + BESIDE_S_MAX
        try:
            async with asyncio.timeout(limit_s):
                process.stdin.write(asked)
                await process.stdin.drain()
                line = await process.stdout.readline()
        except TimeoutError as e:
            raise Unavailable(f"load on {where}: no answer within {limit_s:g} s", retry_after_s=2.0) from e
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Unavailable(f"load on {where}: the driver ended", retry_after_s=2.0) from e
        finally:
            if process.returncode is None:
                process.kill()
            await asyncio.shield(process.wait())
        if not line:
            raise Unavailable(f"load on {where}: the driver ended without an answer", retry_after_s=2.0)
        found: dict[str, Any] = json.loads(line)
        return found
