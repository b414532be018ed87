"""Another node, which has nothing of ours but what the token service publishes: it knows of a revocation within `ttl`.

The node reads lists with joserfc and zlib alone, and keeps them for exactly as long as they say. Nobody waits for that:
what it has is made older, as if it had been read so much earlier.
"""

from __future__ import annotations

import json
import time
import zlib
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from answerable.core.mandate.hop_token import read_hop, signing_hash
from answerable.core.mandate.revocation import RevocationTarget
from answerable.flows.revocation.close_mandate import close_mandate
from answerable.flows.revocation.revoke_authority import revoke_authority
from answerable.testing.samples import signing_key
from tests.worlds.token import TokenWorld, narrow, succeeded, token_world

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("REVOKE-17")]

TTL = 7
SETTINGS = f"[tokens]\nstatus_list_seconds = {TTL}\n"


def claims_of(token: str) -> dict[str, Any]:
    """Of a token that the node has verified otherwise."""
    payload = token.split(".")[1]
    found = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(found, dict)
    return found


@dataclass
class Node:
    """A verifier elsewhere. kept: lists that it has, by uri, and since when."""

    keys: list[dict[str, Any]]
    kept: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    fetched: int = 0

    async def stands(self, token: str) -> bool:
        """By the list that it has, or by a new one where that has been kept for as long as it may be."""
        place = claims_of(token)["status"]["status_list"]
        since, found = self.kept.get(place["uri"], (0.0, {}))
        now = time.time()
        if not found or now >= since + found["ttl"] or now >= found["exp"]:
            found = await self.fetch(place["uri"])
            self.kept[place["uri"]] = now, found
        array = zlib.decompress(urlsafe_b64decode(found["status_list"]["lst"] + "=="))
        assert found["status_list"]["bits"] == 1
        return not array[place["idx"] // 8] >> place["idx"] % 8 & 1

    async def fetch(self, uri: str) -> dict[str, Any]:
        self.fetched += 1
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            answer = await http.get(uri)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/statuslist+jwt"
        assert answer.headers["cache-control"] == "no-store", "no cache in between makes it older"
        return self.read(answer.text, uri, at=time.time())

    def older(self, seconds: float) -> None:
        """As if every list that it has had been read, and signed, so much earlier."""
        self.kept = {
            uri: (since - seconds, {**found, "exp": found["exp"] - seconds, "iat": found["iat"] - seconds})
            for uri, (since, found) in self.kept.items()
        }

    def read(self, text: str, uri: str, *, at: float) -> dict[str, Any]:
        """A list that somebody handed over, wherever it has been meanwhile. at: by the node's clock."""
        head = json.loads(urlsafe_b64decode(text.split(".")[0] + "=="))
        [key] = [one for one in self.keys if one["kid"] == head["kid"]]
        registry = jws.JWSRegistry(algorithms=["Ed25519"])
        said = jws.deserialize_compact(text, OKPKey.import_key(key), registry=registry)
        assert head["typ"] == "statuslist+jwt"
        found = json.loads(said.payload)
        assert found["sub"] == uri
        assert found["iat"] - 60 <= at < found["exp"], "it is too old, or from the future"
        assert isinstance(found, dict)
        return found


async def node_beside(world: TokenWorld) -> Node:
    keys = (await world.get("/oauth/jwks")).json()["keys"]
    return Node(keys=keys)


async def tree(world: TokenWorld) -> dict[str, tuple[str, ...]]:
    """Chains by name: a root, what came of it by a consent, and what came of what an agent signed."""
    await world.mandate()
    root = await world.root()
    consent = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
    answer = await world.exchange("researcher", root, consent=consent)
    assert answer.status_code == 200, answer.text
    online = tuple(answer.json()["delegation"].split("~"))
    offline = (*online, world.handed(online, "researcher", "writer", narrow(("crm.read",), online[-1])))
    answer = await world.exchange("writer", offline[-1], delegation="~".join(offline[:-1]))
    assert answer.status_code == 200, answer.text
    below = tuple(answer.json()["delegation"].split("~"))
    return {"root": (root,), "online": online, "below": below, "consent": (consent,), "offline": offline}


async def test_a_node_with_a_list_from_right_before_the_revocation_refuses_when_its_ttl_is_over(tmp_path):
    async with token_world(tmp_path, settings=SETTINGS) as world:
        chains = await tree(world)
        node = await node_beside(world)
        tokens = {name: chains[name][-1] for name in ("root", "online", "below")}
        for token in tokens.values():
            assert await node.stands(token)
        assert node.fetched == 1
        # The worst case: it has read the list a moment before.
        await revoke_authority(
            world.walk.recorder,
            world.walk.authority,
            world.walk.live,
            RevocationTarget("agent", "researcher"),
            by="operator",
        )
        node.older(TTL)
        assert [await node.stands(one) for one in tokens.values()] == [True, False, False]
        assert node.fetched == 2


async def test_the_bound_stands_in_the_list_itself_and_no_copy_of_it_is_good_for_longer(tmp_path):
    async with token_world(tmp_path, settings=SETTINGS) as world:
        chains = await tree(world)
        node = await node_beside(world)
        [token] = chains["root"]
        uri = claims_of(token)["status"]["status_list"]["uri"]
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:
            before = (await http.get(uri)).text
        said = node.read(before, uri, at=time.time())
        assert (said["ttl"], said["exp"] - said["iat"]) == (TTL, TTL)
        await revoke_authority(
            world.walk.recorder,
            world.walk.authority,
            world.walk.live,
            RevocationTarget("mandate", "m-1"),
            by="operator",
        )
        # Somebody between keeps the old one and shows it for as long as it is believed.
        assert node.read(before, uri, at=said["exp"] - 0.001) == said
        with pytest.raises(AssertionError, match="too old"):
            node.read(before, uri, at=said["exp"])


@pytest.mark.parametrize(
    "kind", ["token", "hop", "consent", "offline hop", "mandate", "agent", "key", "owner", "closed"]
)
async def test_by_whichever_name_it_ended_node_introspection_and_gateway_say_the_same(tmp_path, kind):
    async with token_world(tmp_path, settings=SETTINGS) as world:
        chains = await tree(world)
        node = await node_beside(world)
        what = {
            "token": RevocationTarget("token", read_hop(chains["online"][-1]).jti),
            "hop": RevocationTarget("hop", signing_hash(chains["online"][-1])),
            "consent": RevocationTarget("hop", signing_hash(chains["consent"][0])),
            "offline hop": RevocationTarget("hop", signing_hash(chains["offline"][-1])),
            "mandate": RevocationTarget("mandate", "m-1"),
            "agent": RevocationTarget("agent", "writer"),
            "key": RevocationTarget("key", signing_key("researcher").public.thumbprint),
            "owner": RevocationTarget("owner", "alice"),
        }
        if kind == "closed":
            await close_mandate(
                world.walk.recorder, world.walk.authority, world.walk.live, "m-1", by="operator"
            )
        else:
            await revoke_authority(
                world.walk.recorder, world.walk.authority, world.walk.live, what[kind], by="operator"
            )
        expected = {
            "offline hop": (True, True, False),
            "agent": (True, True, False),
            "mandate": (False, False, False),
            "owner": (False, False, False),
            "closed": (False, False, False),
        }.get(kind, (True, False, False))
        holders = {"root": "orchestrator", "online": "researcher", "below": "writer"}
        for (name, agent), stands in zip(holders.items(), expected, strict=True):
            chain = chains[name]
            said = await world.post("/oauth/introspect", agent, {"token": "~".join(chain)})
            assert await node.stands(chain[-1]) is stands, name
            assert said.json()["active"] is stands, name
            assert succeeded(await world.call(agent, chain=chain)) is stands, name
