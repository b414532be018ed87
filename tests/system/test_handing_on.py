"""A task that is handed from agent to agent, over the real doors: token service, gateway, upstream and ledger."""

from __future__ import annotations

import json
from typing import Any

import pytest

from answerable.core.identity.keys.compact_jws import check_compact, read_compact
from answerable.core.identity.keys.keys import public_key
from answerable.core.ledger.tags import Tag
from answerable.core.mandate import oauth_terms as oauth
from answerable.core.mandate.hop_token import read_hop
from answerable.core.mandate.status_list import INVALID, VALID, verified_status_list
from answerable.core.tlog.note import VerifierKey
from answerable.testing.samples import signing_key
from answerable.verify.ledger_history import verify_ledger
from tests.worlds.token import narrow, succeeded, token_world, why_not
from tests.worlds.token_codes import token_codes

pytestmark = pytest.mark.anyio
CODES = token_codes("test")


@pytest.mark.requirement("TOKEN-01")
async def test_a_task_is_handed_on_twice_and_every_hand_is_in_the_record(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        offline = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        assert succeeded(await world.call("researcher", chain=(root, offline)))
        assert succeeded(await world.call("researcher", chain=(root, offline), meta=True))
        [first, second] = world.entries(Tag.INTENT)
        assert first["hops"] == second["hops"]
        assert [hop["agent"] for hop in first["hops"]] == ["orchestrator", "researcher"]
        assert (first["agent"], first["mandate"]) == ("researcher", "m-1")
        cited = {one["index"]: one for one in world.entries(Tag.CITED) if one["kind"] == "hop"}
        assert [cited[hop["entry"]]["form"] for hop in first["hops"]] == ["online", "offline"]
        # Online, with what the orchestrator signed as its consent.
        answer = await world.exchange("researcher", root, consent=offline)
        assert answer.status_code == 200, answer.text
        chain = tuple(answer.json()["delegation"].split("~"))
        assert len(chain) == 2
        first_actor = {"iss": world.url, "sub": "orchestrator", "sub_profile": "ai_agent"}
        assert read_hop(chain[-1]).raw.claims["act"] == {
            **first_actor,
            "sub": "researcher",
            "act": first_actor,
        }
        assert succeeded(await world.call("researcher", chain=chain))
        writer = world.handed(chain, "researcher", "writer", narrow(("crm.read",), chain[-1]))
        assert succeeded(await world.call("writer", chain=(*chain, writer)))
        told = why_not(
            await world.call("writer", "note_add", {"case_id": "4711", "text": "x"}, chain=(*chain, writer))
        )
        assert "from `orchestrator` to `researcher` (hop 1 of 2)" in told
        [refusal] = world.entries(Tag.REFUSAL)
        assert refusal["code"] == "delegation.scope_not_granted"
        assert [hop["agent"] for hop in refusal["hops"]] == ["orchestrator", "researcher", "writer"]
        key = VerifierKey.parse(world.product.log_key)
        world.product.seal()
    report = verify_ledger(tmp_path / "house" / "ledger", key=key)
    assert (report.errors, report.findings) == (0, ())


@pytest.mark.requirement("TOKEN-02")
@pytest.mark.parametrize("by", ["signature", "assertion"])
async def test_a_client_proves_itself_in_any_of_the_ways_and_its_token_is_bound_to_its_key(tmp_path, by):
    async with token_world(tmp_path) as world:
        await world.mandate()
        key = signing_key("orchestrator")
        answer = await world.exchange(
            "orchestrator", "m-1", by=by, dpop=key, requested_token_type=oauth.TYPE_ACCESS
        )
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["token_type"], found["expires_in"] <= 60) == ("DPoP", True)
        assert (answer.headers["cache-control"], found["scope"]) == ("no-store", "crm.note crm.read")
        token = found["access_token"]
        assert succeeded(await world.call("orchestrator", chain=(token,), dpop=True))
        assert world.entries(Tag.INTENT)[-1]["proof"]["kind"] == "dpop"
        bearer = await world.call("orchestrator", chain=(token,), dpop=True, scheme="Bearer")
        assert bearer.status_code == 401
        stolen = await world.call("stranger", chain=(token,), dpop=True)
        assert stolen.status_code == 401
        # A DPoP proof of one's own over a message that was signed by somebody else binds nothing.
        other = await world.exchange("orchestrator", "m-1", by=by, dpop=signing_key("stranger"))
        assert (other.status_code, other.json()["error"]) == (400, "invalid_grant")


@pytest.mark.requirement("TOKEN-02")
async def test_an_assertion_alone_binds_to_the_key_that_signed_it_and_a_secret_is_no_proof(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        answer = await world.exchange("orchestrator", "m-1", by="assertion")
        assert answer.status_code == 200, answer.text
        assert succeeded(await world.call("orchestrator", chain=(answer.json()["access_token"],)))
        for headers in ({"authorization": "Basic c2NvdXQ6c2VjcmV0"}, {"authorization": "Bearer abc"}, {}):
            refused = await world.post(
                "/oauth/token",
                "orchestrator",
                {"grant_type": oauth.GRANT_EXCHANGE},
                by="none",
                headers=headers,
            )
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
            assert refused.headers["www-authenticate"]


@pytest.mark.requirement("TOKEN-03")
async def test_what_the_doors_say_about_themselves_is_what_they_do(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        about = (await world.get("/.well-known/oauth-authorization-server")).json()
        assert about["issuer"] == world.url
        assert about["token_endpoint"] == f"{world.url}/oauth/token"
        resource = (await world.get("/.well-known/oauth-protected-resource/mcp/crm")).json()
        unknown = await world.post("/mcp/crm", "orchestrator", {}, by="none", headers={})
        assert unknown.status_code == 401
        where = f'resource_metadata="{world.url}/.well-known/oauth-protected-resource/mcp/crm"'
        assert f"DPoP {where}" in unknown.headers.get_list("www-authenticate")
        assert (resource["resource"], resource["authorization_servers"]) == (
            f"{world.url}/mcp/crm",
            [world.url],
        )
        assert resource["bearer_methods_supported"] == []
        missing = await world.get("/.well-known/oauth-protected-resource/mcp/nothing")
        assert missing.status_code == 404
        keys = (await world.get("/oauth/jwks")).json()["keys"]
        root = await world.root(resource=f"{world.url}/mcp/crm")
        jws = read_compact(root, malformed=CODES.malformed)
        [key] = [public_key(drop(one, "kid", "use")) for one in keys if one["kid"] == jws.header["kid"]]
        check_compact(jws, key, algorithm=CODES.algorithm, signature=CODES.signature)
        assert read_hop(root).audiences == (f"{world.url}/mcp/crm",)
        assert succeeded(await world.call("orchestrator", chain=(root,)))
        for path, method in (("/oauth/nothing", "get"), ("/oauth/token", "get")):
            assert (await world.get(path)).status_code in (404, 405), method


@pytest.mark.requirement("TOKEN-04")
async def test_a_token_is_looked_into_by_those_it_concerns_plainly_and_signed(tmp_path):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        offline = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        for agent in ("orchestrator", "researcher"):
            found = (await world.post("/oauth/introspect", agent, {"token": f"{root}~{offline}"})).json()
            assert (found["active"], found["sub"], found["client_id"]) == (True, "alice", "researcher")
            assert (found["scope"], found["txn"], found["del_depth"]) == ("crm.read", "m-1", 1)
        for agent, token in (("stranger", root), ("orchestrator", "garbage"), ("orchestrator", offline)):
            found = await world.post("/oauth/introspect", agent, {"token": token})
            assert (found.status_code, found.json()) == (200, {"active": False})
        signed = await world.post(
            "/oauth/introspect",
            "orchestrator",
            {"token": root},
            headers={"accept": "application/token-introspection+jwt"},
        )
        assert signed.headers["content-type"].startswith("application/token-introspection+jwt")
        jws = read_compact(signed.text, malformed=CODES.malformed)
        assert jws.header["typ"] == "token-introspection+jwt"
        check_compact(
            jws, world.product.tokens.keys[0].public, algorithm=CODES.algorithm, signature=CODES.signature
        )
        claims = json.loads(jws.payload)
        assert (claims["iss"], claims["aud"]) == (world.url, "orchestrator")
        assert claims["token_introspection"]["active"] is True


@pytest.mark.requirement("TOKEN-05")
async def test_a_token_that_is_given_back_ends_with_all_below_it_at_the_next_call_and_the_list_says_so(
    tmp_path,
):
    async with token_world(tmp_path) as world:
        await world.mandate()
        root = await world.root()
        consent = world.handed((root,), "orchestrator", "researcher", narrow(("crm.read",), root))
        chain = tuple(
            (await world.exchange("researcher", root, consent=consent)).json()["delegation"].split("~")
        )
        leaf = world.handed(chain, "researcher", "writer", narrow(("crm.read",), chain[-1]))
        other = tuple(
            (await world.exchange("researcher", root, consent=consent)).json()["delegation"].split("~")
        )
        assert succeeded(await world.call("writer", chain=(*chain, leaf)))
        # Not the writer's, and not below anything of its own.
        assert (await world.post("/oauth/revoke", "writer", {"token": chain[-1]})).status_code == 200
        assert succeeded(await world.call("writer", chain=(*chain, leaf)))
        assert (await world.post("/oauth/revoke", "researcher", {"token": chain[-1]})).status_code == 200
        for agent, dead in (("researcher", chain), ("writer", (*chain, leaf))):
            assert "has been revoked" in why_not(await world.call(agent, chain=dead))
        assert succeeded(await world.call("researcher", chain=other))
        assert not (await world.post("/oauth/introspect", "researcher", {"token": "~".join(chain)})).json()[
            "active"
        ]
        [uri] = (await world.get("/oauth/status")).json()["status_lists"]
        listed = await world.get(uri.removeprefix(world.url))
        assert listed.headers["content-type"].startswith("application/statuslist+jwt")
        found = verified_status_list(
            listed.text, keys=[world.product.tokens.keys[0].public], uri=uri, now=world.now()
        )
        bits = {token: found.statuses.status(place_in(token, uri)) for token in (root, chain[-1], other[-1])}
        assert bits == {root: VALID, chain[-1]: INVALID, other[-1]: VALID}
        refused = await world.exchange("researcher", chain[-1], delegation=root)
        assert (refused.status_code, refused.json()["answerable_code"]) == (400, "revoked.token")
        [said] = world.entries(Tag.REVOKED)
        assert (said["kind"], said["name"]) == ("token", read_hop(chain[-1]).jti)


def drop(members, *names):
    return {name: value for name, value in members.items() if name not in names}


def place_in(token, uri):
    claims: Any = read_hop(token).raw.claims
    place = claims["status"]["status_list"]
    assert place["uri"] == uri
    return place["idx"]
