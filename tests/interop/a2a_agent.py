"""Two agents of the A2A SDK: `receive` serves one that works on what it is sent, `send URL` sends it one message.

What to send stands in a line of standard input: `case`, and how the chain is treated on its way.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import httpx
import uvicorn
from a2a.client.client import ClientCallContext, ClientConfig
from a2a.client.client_factory import create_client
from a2a.client.service_parameters import ServiceParametersFactory, with_a2a_extensions
from a2a.helpers import get_message_text, new_text_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentExtension,
    AgentInterface,
    AgentSkill,
    Message,
    Role,
    SendMessageRequest,
)
from handed_work import PLACE, done, fault, handed_to
from starlette.applications import Starlette

from answerable.core.mandate.delegation_transport_terms import A2A_EXTENSION, MEMBER
from answerable.errors import AnswerableError
from answerable.sdk.delegation_transport import chain_in_a2a, put_in_a2a


class Worker(AgentExecutor):
    """Takes the chain out of the message and works by it."""

    async def execute(self, context: Any, event_queue: Any) -> None:
        message = context.message
        try:
            chain = chain_in_a2a(message.metadata, message.extensions)
            said = await done(chain, get_message_text(message))
        except AnswerableError as error:
            said = fault(error)
        await event_queue.enqueue_event(
            new_text_message(json.dumps(said), context_id=context.context_id, task_id=context.task_id)
        )

    async def cancel(self, context: Any, event_queue: Any) -> None:
        raise NotImplementedError("a message is answered at once: there is nothing to cancel")


async def receive() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    extension = AgentExtension(uri=A2A_EXTENSION, description="Takes what is handed on", required=False)
    card = AgentCard(
        name=PLACE["agent"],
        description="Reads cases",
        version="1",
        supported_interfaces=[
            AgentInterface(url=url + "/a2a", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=AgentCapabilities(extensions=[extension]),
        default_input_modes=["text/plain"],
        default_output_modes=["application/json"],
        skills=[AgentSkill(id="read", name="Read", description="Reads a case", tags=["crm"])],
    )
    requests = DefaultRequestHandler(agent_executor=Worker(), task_store=InMemoryTaskStore(), agent_card=card)
    app = Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(requests, "/a2a")])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    print(json.dumps({"event": "listening", "url": url}), flush=True)
    await server.serve(sockets=[listener])


async def send(url: str) -> None:
    config = ClientConfig(streaming=False, httpx_client=httpx.AsyncClient(trust_env=False, timeout=60))
    client = await create_client(url, config)
    for line in sys.stdin:
        print(json.dumps(await answered(client, json.loads(line))), flush=True)
    await client.close()


async def answered(client: Any, wanted: dict[str, Any]) -> Any:
    message = new_text_message(wanted["case"], role=Role.ROLE_USER)
    put_in_a2a(message.metadata, message.extensions, await handed_to("researcher"))
    spoil(message, wanted["on_the_way"])
    parameters = ServiceParametersFactory.create([with_a2a_extensions([A2A_EXTENSION])])
    context = ClientCallContext(service_parameters=parameters)
    async for response in client.send_message(SendMessageRequest(message=message), context=context):
        return json.loads(get_message_text(response.message))
    return None


def spoil(message: Message, on_the_way: str) -> None:
    """What a hop between the two might make of it."""
    metadata, extensions = message.metadata, message.extensions
    match on_the_way:
        case "dropped":
            metadata.Clear()
            del extensions[:]
        case "announced only":
            metadata.Clear()
        case "unannounced":
            del extensions[:]
        case "announced twice":
            extensions.append(A2A_EXTENSION)
        case "cut":
            metadata[MEMBER] = metadata[MEMBER].partition("~")[2]
        case "tampered":
            metadata[MEMBER] = metadata[MEMBER][:-8] + "AAAAAAAA"
        case "oversized":
            metadata[MEMBER] = metadata[MEMBER] + "A" * 300_000
        case "no text":
            metadata[MEMBER] = [metadata[MEMBER]]


if __name__ == "__main__":
    asyncio.run(receive() if sys.argv[1] == "receive" else send(sys.argv[2]))
