"""The four services as they are configured; one that is not answers Unavailable, like one that is down."""

from pathlib import Path
from typing import Any

import grpc

from services.admin_api.operations.peers import Peers
from shared.clients.autoscaler import AutoscalerClient
from shared.clients.deployer import DeployerClient
from shared.clients.observer import ObserverClient
from shared.clients.provisioner import ProvisionerClient
from shared.domain.errors import Unavailable
from shared.grpc.client import open_channel
from shared.settings import ServiceSettings


class NotConfigured:
    """Stands where a service's client would."""

    def __init__(self, service: str, why: str) -> None:
        """`why` says what is missing."""
        self._service, self._why = service, why

    def __getattr__(self, name: str) -> Any:
        """Every question is answered alike."""

        async def unavailable(*_: Any, **__: Any) -> Any:
            raise Unavailable(
                f"{self._service}: {self._why}",
                remedy=f"set HEADRACE_{self._service.upper()}_ADDRESS and HEADRACE_TLS_DIR",
                retry_after_s=5.0,
            )

        return unavailable


class ServiceChannels:
    """A Part: opens the channels, closes them at the end."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Addresses and the folder with this process' certificate."""
        self._channels: list[grpc.aio.Channel] = []
        tls = settings.tls_dir
        self.peers = Peers(
            observer=self._client("observer", settings.observer_address, tls, ObserverClient),
            deployer=self._client("deployer", settings.deployer_address, tls, DeployerClient),
            provisioner=self._client("provisioner", settings.provisioner_address, tls, ProvisionerClient),
            autoscaler=self._client("autoscaler", settings.autoscaler_address, tls, AutoscalerClient),
        )

    def _client(self, name: str, address: str, tls: Path, kind: type) -> Any:
        if not address:
            return NotConfigured(name, "its address is not configured")
        try:
            channel = open_channel(address, tls)
        except OSError as e:
            return NotConfigured(name, f"no certificate to call it with: {e.filename}: {e.strerror}")
        self._channels.append(channel)
        return kind(channel)

    async def start(self) -> None:
        """Nothing: channels connect when first used."""

    async def stop(self) -> None:
        """Close."""
        for channel in self._channels:
            await channel.close()
