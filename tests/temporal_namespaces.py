"""A namespace of its own for each module of tests, on the one development server."""

import asyncio
import copy
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from localcloud.servers.temporal import SEARCH_ATTRIBUTES, TemporalServer

KEPT = timedelta(days=1)


def own_namespace(server: TemporalServer, name: str) -> TemporalServer:
    """The same server, seen through a new namespace that has the product's search attributes."""
    asyncio.run(_register(server.address, name))
    seen = copy.copy(server)
    seen.namespace = name
    return seen


async def _register(address: str, name: str) -> None:
    client = await Client.connect(address, namespace=name)
    kept = Duration()
    kept.FromTimedelta(KEPT)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=kept)
    )
    attributes = dict.fromkeys(SEARCH_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=name, search_attributes=attributes)
    )
