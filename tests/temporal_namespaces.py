"""Tests' own ways to Temporal: connections that wait for a busy machine, and a namespace for each module of tests."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from localcloud.servers.temporal import SEARCH_ATTRIBUTES, TemporalServer

KEPT = timedelta(days=1)
CONNECTED_S_MAX = 90.0
KNOWN_S_MAX = 90.0
LOOK_EVERY_S = 0.1
Made = TypeVar("Made")


async def connected(connect: Callable[[], Awaitable[Made]]) -> Made:
    """What `connect` makes; the SDK gives a server five seconds to answer, and a busy machine takes longer."""
    async with asyncio.timeout(CONNECTED_S_MAX):
        while True:
            try:
                return await connect()
            except RuntimeError as error:  # what the SDK raises when nobody answers
                told = str(error)
                if "connect" not in told:
                    raise
            await asyncio.sleep(LOOK_EVERY_S)


def own_namespace(server: TemporalServer, name: str) -> TemporalServer:
    """The same server, seen through a new namespace that has the product's search attributes."""
    asyncio.run(_register(server.address, name))
    seen = copy.copy(server)
    seen.namespace = name
    return seen


async def _register(address: str, name: str) -> None:
    client = await connected(lambda: Client.connect(address, namespace=name))
    kept = Duration()
    kept.FromTimedelta(KEPT)
    try:
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=kept), retry=True
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:  # a first try that was answered too late
            raise
    attributes = dict.fromkeys(SEARCH_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
    await _until(lambda: _known(client, name))
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=name, search_attributes=attributes)
    )
    await _until(lambda: _known(client, name, frozenset(SEARCH_ATTRIBUTES)))


async def _until(met: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(KNOWN_S_MAX):
        while not await met():  # noqa: ASYNC110  the server tells nobody
            await asyncio.sleep(LOOK_EVERY_S)


async def _known(client: Client, name: str, attributes: frozenset[str] = frozenset()) -> bool:
    """Whether the server's parts, which learn of a namespace one after the other, all know this one."""
    try:
        there = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace=name))
        await client.workflow_service.list_workflow_executions(ListWorkflowExecutionsRequest(namespace=name))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return attributes <= set(there.custom_attributes)
