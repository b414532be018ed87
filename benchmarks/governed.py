"""A data directory on which an agent with a key may read one case: prepared by the product's own flows, without doors,
and then the agent's calls at the gateway of whichever `answerable up` runs on it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import course
import httpx2
from dpop import new_key
from house import WAIT_SECONDS_MAX, House

from answerable.core.canonical import JSONValue, encode
from answerable.core.identity.keys.keys import SigningKey
from answerable.core.identity.names.principal import AgentId, PrincipalId, UnixMillis
from answerable.core.identity.proof.http_signature import DELEGATION_HEADER
from answerable.core.identity.workload.evidence import UNKNOWN_IDENTITY
from answerable.core.ledger import records
from answerable.core.ledger.records_statements import Published
from answerable.core.ledger.subject import principal_subject
from answerable.core.mandate import oauth_terms
from answerable.core.mandate.caveat import ResourceIn
from answerable.core.mandate.delegability import Delegability
from answerable.core.mandate.delegation_chain import SEPARATOR
from answerable.core.mandate.mandate import Grant, Mandate, MandateId, MandateTerms
from answerable.core.mandate.token import claims_of, signed
from answerable.flows.recording.record_entry import pseudonym_of, record_entry, sealing_for
from answerable.flows.registry.apply_registry import planned_aside, put_into_force
from answerable.flows.tokens.authenticate_client import TokenClient
from answerable.flows.tokens.exchange_token import exchange_token
from answerable.flows.tokens.find_parent import Exchange
from answerable.flows.tokens.issue_mandate import issue_mandate
from answerable.sdk.proof_auth import SessionAuth
from answerable.sdk.signing import signed_mandate
from answerable.wiring.assemble import Product, assembled
from answerable.wiring.settings import load_settings
from answerable.wiring.shard_settings import with_shard

AGENT: Final = AgentId("support-agent")
MANDATE: Final = MandateId("1" * 26)
SETTINGS: Final = '[gateway]\nport = 0\n[walk]\npin_tools_at_first_sight = true\n[tokens]\nissuer = "https://gateway.example"\n'
"""Every process says that it is the same token service, on whichever port it listens."""
LIFE_MS: Final = 3_000_000
BATCH: Final = 10_000
TOGETHER: Final = 256
_ECHO: Final = Path(__file__).parent / "peers" / "echo_upstream.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A product that is open in this process, on registers and a ledger that `answerable up` will open. key: the
    agent's."""

    product: Product
    key: SigningKey
    ada: SigningKey

    async def handed(self, chain: str = "") -> str:
        """One more token of the agent, below its mandate or below the last of a chain: with all above it, as the
        gateway takes it."""
        client = TokenClient(
            agent=AGENT, identity=UNKNOWN_IDENTITY, method="signature", key=self.key.public.thumbprint
        )
        above, _, leaf = chain.rpartition(SEPARATOR)
        wanted = Exchange(
            subject_token=leaf or MANDATE,
            subject_token_type=oauth_terms.TYPE_ACCESS if chain else oauth_terms.TYPE_MANDATE,
            requested_token_type=oauth_terms.TYPE_DELEGATION,
            chain=above,
        )
        return (await exchange_token(self.product.tokens, client, wanted)).chain

    async def given(self, count: int) -> None:
        """So many more mandates in force, each recorded as `issue_mandate` does, with an id and a case of its own.

        They show one signature, which a start does not look at, and their rows are written many at a time.
        """
        walk = self.product.walk
        template, now = _terms(walk.clock.now()), walk.clock.now()
        sealing = sealing_for(walk.recorder, principal_subject(template.principal))
        pseudonym = pseudonym_of(walk.recorder, template.principal)

        async def recorded(terms: MandateTerms) -> tuple[Mandate, int, str]:
            origin = walk.recorder.ledger.origin
            mandate = signed(terms, signed_mandate(terms, audience=origin, key=self.ada))
            entry = records.mandate_issued(
                mandate, at=now, sealing=sealing, principal=pseudonym, audience=origin
            )
            receipt, _ = await record_entry(walk.recorder, entry)
            return mandate, receipt.index, receipt.leaf_hash.hex()

        for start in range(0, count, BATCH):
            names = [MandateId(f"{number:026d}") for number in range(start, min(start + BATCH, count))]
            made = []
            for first in range(0, len(names), TOGETHER):
                some = names[first : first + TOGETHER]
                made += await asyncio.gather(*(recorded(_for_case(template, name)) for name in some))
            with self.product.registers.write() as connection:
                connection.executemany(
                    "INSERT INTO mandates (id, claims, token, state) VALUES (?, ?, ?, 'open')",
                    ((one.id, encode(claims_of(one, audience="")), one.token) for one, _, _ in made),
                )
                connection.executemany(
                    "INSERT INTO mandates_issued (mandate, origin, entry, leaf) VALUES (?, ?, ?, ?)",
                    ((one.id, walk.recorder.ledger.origin, entry, leaf) for one, entry, leaf in made),
                )


@asynccontextmanager
async def prepared(house: House, *, shard: str = "") -> AsyncIterator[Prepared]:
    """The house with its registry and one mandate in it, open until the block ends."""
    settings = load_settings(house.data)
    async with assembled(with_shard(settings, shard) if shard else settings) as product:
        key, ada = new_key("ed25519"), house.keys["ada"]
        # As the ledger says them, too: else nothing starts on them. Its policies name agents that there are not.
        plan = await planned_aside(
            product.walk.authority.registry,
            product.walk.policies,
            product.walk.drills,
            product.walk.limits,
            product.walk.clock,
            list(_documents(key, ada)),
        )
        await put_into_force(
            product.walk.recorder,
            product.walk.authority,
            product.walk.asking,
            product.walk.applying,
            plan,
            by="operator",
            published=Published(how="one_person"),
        )
        terms = _terms(product.walk.clock.now())
        await issue_mandate(
            product.walk.recorder,
            product.walk.authority,
            product.walk.asking,
            signed_mandate(terms, audience=product.walk.recorder.ledger.origin, key=ada),
        )
        yield Prepared(product=product, key=key, ada=ada)


class Caller:
    """The agent at one gateway: a MAC a message, under a session that its key opened."""

    def __init__(self, gateway: Path, key: SigningKey) -> None:
        transport = httpx2.HTTPTransport(uds=str(gateway))
        auth = SessionAuth(key, mandate=MANDATE)
        self._client = httpx2.Client(
            transport=transport, auth=auth, timeout=WAIT_SECONDS_MAX, trust_env=False
        )
        self._count = 0

    def call(self, chain: str = "") -> str:
        """Act once, under the mandate or under a chain; returns why not, empty where it was done."""
        self._count += 1
        answer = self._client.post(
            "http://localhost/mcp/crm",
            content=course.body(self._count),
            headers={
                "content-type": "application/json",
                "accept": "application/json, text/event-stream",
                "mcp-protocol-version": "2026-07-28",
                "mcp-method": "tools/call",
                "mcp-name": "customer_read",
                **({DELEGATION_HEADER: chain} if chain else {}),
            },
        )
        result = answer.json().get("result")
        if result is None:
            return answer.text
        return str(result["content"][0]["text"]) if result.get("isError") else ""

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def _terms(now: UnixMillis) -> MandateTerms:
    return MandateTerms(
        id=MANDATE,
        principal=PrincipalId("ada"),
        agent=AGENT,
        use_case="support",
        purpose="Answer the customer's question in case 4711, with whom it takes",
        grants=(Grant(capability="crm.customer-read", caveats=(ResourceIn(ids=("4711",)),)),),
        caveats=(),
        calls_max=10**9,
        delegability=Delegability(depth_max=5, width_max=100, to=("use_case:support",)),
        not_before=UnixMillis(now - 1000),
        expires_at=UnixMillis(now + LIFE_MS),
    )


def _for_case(template: MandateTerms, name: MandateId) -> MandateTerms:
    """The same for another case, as people give them: nothing that is read back can be one object with another's."""
    case = name.lstrip("0") or "0"
    grants = (Grant(capability="crm.customer-read", caveats=(ResourceIn(ids=(case,)),)),)
    return replace(template, id=name, purpose=template.purpose.replace("4711", case), grants=grants)


def _documents(key: SigningKey, ada: SigningKey) -> Iterable[JSONValue]:
    for one in cast("list[dict[str, Any]]", course.documents(key, ada)):
        if one["kind"] == "Server":
            one = {**one, "spec": {"command": sys.executable, "args": [str(_ECHO), "stdio"]}}
        if one["kind"] == "Agent":
            # Its key proves it: which user it runs as does not.
            one = {**one, "spec": {name: value for name, value in one["spec"].items() if name != "unixUids"}}
        yield one
