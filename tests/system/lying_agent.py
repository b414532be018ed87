"""Enrols itself, without our sidecar, and says that it measured what it is told to say. Takes GATEWAY and JSON.

It prints one JSON line: what the server made of it, or the code of the refusal.
"""

import json
import os
import sys

import anyio

from answerable.core.identity.keys.keys import SigningKey, new_private_jwk
from answerable.errors import AnswerableError
from answerable.sdk.enrolment import EnrolmentClient, MadeOf
from answerable.sdk.gateway_address import open_client


async def main() -> None:
    gateway, said = sys.argv[1:3]
    key = SigningKey(new_private_jwk("ed25519", os.urandom(32)))
    http, base = open_client(gateway)
    async with http:
        client = EnrolmentClient(http, base)
        challenge = await client.challenge()
        try:
            made = await client.enrol(
                challenge,
                key=key,
                attestation={"type": "unix"},
                made_of=MadeOf(measured=json.loads(said), claimed={}),
            )
            print(
                json.dumps({"manifest": made.manifest, "drift": made.drift, "instance": str(made.instance)})
            )
        except AnswerableError as error:
            print(json.dumps({"code": error.code}))


anyio.run(main)
