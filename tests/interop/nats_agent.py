"""Two agents at a NATS server: `receive URL` works on what comes in on a subject, `send URL` asks it, once for a line.

What to send stands in a line of standard input: `case`, and how the chain is treated on its way.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import nats
from handed_work import done, fault, handed_to

from answerable.core.mandate.delegation_transport_terms import FIELD
from answerable.errors import AnswerableError
from answerable.sdk.delegation_transport import chain_in_fields, fields_for

SUBJECT = "cases.read"
SECONDS_MAX = 60


async def receive(url: str) -> None:
    client = await nats.connect(url)
    subscription = await client.subscribe(SUBJECT)
    await client.flush()
    print(json.dumps({"event": "listening"}), flush=True)
    async for message in subscription.messages:
        try:
            said = await done(chain_in_fields(message.headers or {}), message.data.decode())
        except AnswerableError as error:
            said = fault(error)
        await message.respond(json.dumps(said).encode())


async def send(url: str) -> None:
    client = await nats.connect(url)
    for line in sys.stdin:
        wanted = json.loads(line)
        headers = spoilt(fields_for(await handed_to("researcher")), wanted["on_the_way"])
        answer = await client.request(SUBJECT, wanted["case"].encode(), SECONDS_MAX, headers=headers)
        print(json.dumps(json.loads(answer.data)), flush=True)
    await client.close()


def spoilt(headers: dict[str, str], on_the_way: str) -> dict[str, Any]:
    """What a hop between the two might make of it."""
    chain = headers[FIELD]
    match on_the_way:
        case "dropped":
            return {"unrelated": "1"}
        case "capitals":
            return {"Answerable-Delegation": chain}
        case "twice":
            return {FIELD: chain, "Answerable-Delegation": chain}
        case "cut":
            return {FIELD: chain.partition("~")[2]}
        case "tampered":
            return {FIELD: chain[:-8] + "AAAAAAAA"}
        case "oversized":
            return {FIELD: chain + "A" * 40_000}
    return dict(headers)


if __name__ == "__main__":
    asyncio.run((receive if sys.argv[1] == "receive" else send)(sys.argv[2]))
