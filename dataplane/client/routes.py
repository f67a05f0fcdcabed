"""Routes of a group as the client hears them: watched over gRPC, kept on disk, usable while nobody tells anything.

The last copy is read before anything is asked, so a client starts and works while the control plane is away. The stream
is opened again from the generation that is known, with back-off and jitter; an older generation than the known one is
never taken.
"""

import os
import random
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import grpc
import structlog
from headraceapi.provisioner.v1 import provisioner_pb2, provisioner_pb2_grpc
from pydantic import ValidationError

from dataplane.client.core.members import Endpoint, Table
from dataplane.client.settings import ClientSettings
from shared.contracts.node import Routes
from shared.grpc.client import OPTIONS
from shared.grpc.tls import channel_credentials

BACK_OFF_FIRST_S, BACK_OFF_S_MAX = 0.2, 5.0
JITTER = 0.2
END_S_MAX = 5.0
COPY_BYTES_MAX = 4 * 1024 * 1024
FILE_MODE = 0o600
LOG = structlog.get_logger()


def table_of(routes: Routes) -> Table:
    """Routes in the words of the core."""
    return Table(
        routes.generation,
        {f.fleet: f.weight for f in routes.fleets},
        tuple(
            Endpoint(address, f.fleet, f.zones[place] if place < len(f.zones) else "")
            for f in routes.fleets
            for place, address in enumerate(f.endpoints)
        ),
    )


class RoutesCopy:
    """The last routes of a group on disk."""

    def __init__(self, folder: Path, group: str) -> None:
        """The folder is made when it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"routes-{group}.json"
        self._group = group

    def read(self) -> Routes | None:
        """None when there is none, or when what is there is not a group's routes: it is only a copy."""
        try:
            with self._file.open("rb") as file:
                routes = Routes.model_validate_json(file.read(COPY_BYTES_MAX))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as e:
            LOG.warning("copy of routes not usable", file=str(self._file), why=str(e)[:200])
            return None
        return routes if routes.group == self._group else None

    def write(self, routes: Routes) -> None:
        """Whole or not at all; a disk that takes nothing costs the copy, not the routes."""
        fresh = self._file.with_suffix(".new")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
            with os.fdopen(descriptor, "wb") as file:
                file.write(routes.model_dump_json().encode())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._file)
        except OSError as e:
            LOG.warning("copy of routes not written", file=str(self._file), why=str(e))


class RoutesWatch:
    """A thread that keeps the stream open; `told` is called with every newer table, from `start` and from the thread."""

    def __init__(self, settings: ClientSettings, told: Callable[[Table], None]) -> None:
        """Starts nothing yet."""
        self._group = settings.group
        self._address = settings.routes
        self._tls_dir = settings.tls_dir
        self._copy = RoutesCopy(settings.folder, settings.group)
        self._told = told
        self._generation = 0
        self._stopping = threading.Event()
        self._channel: grpc.Channel | None = None
        self._thread = threading.Thread(target=self._run, name=f"routes-{settings.group}", daemon=True)
        self.connected = False

    def start(self) -> None:
        """Tell the last copy, then watch."""
        if (kept := self._copy.read()) is not None:
            self._generation = kept.generation
            self._told(table_of(kept))
        self._thread.start()

    def stop(self) -> None:
        """End the stream."""
        self._stopping.set()
        if self._channel:
            self._channel.close()
        if self._thread.is_alive():
            self._thread.join(END_S_MAX)

    def _run(self) -> None:
        back_off_s = BACK_OFF_FIRST_S
        while not self._stopping.is_set():
            try:
                for routes in self._stream():
                    back_off_s = BACK_OFF_FIRST_S
                    self._take(routes)
            except grpc.RpcError as e:
                if self._stopping.is_set():
                    return
                LOG.info("routes are not watched", group=self._group, why=e.code().name, again_s=round(back_off_s, 1))
            except Exception:  # what is known goes on being used
                LOG.exception("routes not understood", group=self._group)
            self.connected = False
            self._stopping.wait(back_off_s * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  jitter
            back_off_s = min(BACK_OFF_S_MAX, back_off_s * 2)

    def _stream(self) -> Iterable[Routes]:
        """Certificates are read anew each time: they are renewed while this runs."""
        credentials = channel_credentials(self._tls_dir)
        with grpc.secure_channel(self._address, credentials, options=OPTIONS) as channel:
            self._channel = channel
            stub = provisioner_pb2_grpc.ProvisionerServiceStub(channel)
            request = provisioner_pb2.WatchRoutesRequest(group=self._group, generation=self._generation)
            answers = stub.WatchRoutes(request)
            answers.initial_metadata()
            self.connected = True
            for answer in answers:
                yield Routes.model_validate_json(answer.routes_json)

    def _take(self, routes: Routes) -> None:
        if routes.group != self._group or routes.generation < self._generation:
            return
        self._generation = routes.generation
        self._copy.write(routes)
        self._told(table_of(routes))
