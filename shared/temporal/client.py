"""The Temporal client of a process."""

from temporalio.client import Client

from shared.temporal.converter import DATA_CONVERTER


async def connect(address: str, namespace: str) -> Client:
    """Connect lazily: a server that is not up yet does not stop a service from starting."""
    return await Client.connect(address, namespace=namespace, data_converter=DATA_CONVERTER, lazy=True)
