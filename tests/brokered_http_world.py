"""A CRM that lets in by tokens and a provider of language models, both behind the broker of the real server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from answerable.core.identity.keys import SigningKey
from answerable.sdk.keyfile import create_key, public_jwk
from tests.authorization_server import OPAQUE, SECRET, AuthorizationServer
from tests.brokered_world import documents as support_documents
from tests.mail_world import Mailbox
from tests.model_provider_stand_in import StandIn
from tests.model_provider_world import KEY
from tests.resource_server import ResourceServer
from tests.up_world import OWNERSHIP, SETTINGS, House, house

CRM = """\
kind = "http"
base_url = "{api}"
auth = "client_credentials"
token_url = "{login}/token"
revocation_url = "{login}/token/revocation"
introspection_url = "{login}/token/introspection"
is_introspected = true
client_id = "broker"
secret = "file:crm-secret"
tokens_file = "{folder}/crm-tokens"
"""
MODELS = """\
kind = "model-provider"
base_url = "{provider}"
key = "file:provider-key"
prices = ["small-1 100 1000", "large-1 1500 7500"]
prices_currency = "USD"
prices_day = "2026-11-28"
prices_source = "the stand-in's own list"
"""
COMMON = f"""\
  environment: production
  tier: 1
  sensitivity: confidential
  ownership: {OWNERSHIP}
"""


DOCUMENTS = f"""---
apiVersion: answerable/v1
kind: Server
metadata: {{name: crm}}
spec: {{target: crm, vendor: drifters}}
---
apiVersion: answerable/v1
kind: Server
metadata: {{name: models}}
spec: {{target: models, vendor: thinkers}}
---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: crm.read}}
spec:
  server: crm
  target: read
  kind: read
  resource: {{type: Path, argument: path}}
  arguments: [{{name: path, type: string, required: true}}]
  openMembers: [method, query, headers]
  amount: {{fixed: 0}}
  reserves: {{tokens: 0}}
  lease:
    grants:
      scopes: ["read:case"]
      resource: ["{OPAQUE}"]
      requests: [{{methods: [GET], path: /cases/7, below: true}}]
{COMMON}---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: models.chat}}
spec:
  server: models
  target: chat
  kind: execute
  resource: {{type: Model, argument: model}}
  arguments:
    - {{name: model, type: string, required: true}}
    - {{name: tokens_max, type: integer, required: true}}
    - {{name: cost_max, type: minor_units, required: true}}
  openMembers: [messages, max_tokens, system, tools, stream, temperature]
  amount: {{argument: cost_max, currency: USD}}
  reserves: {{tokens: {{argument: tokens_max}}}}
  measures: {{tokens: /usage/total_tokens, money: /cost/minor_units}}
  lease:
    grants: {{models: [small-1], max_tokens: 50}}
{COMMON}---
apiVersion: answerable/v1
kind: Capability
metadata: {{name: models.list}}
spec:
  server: models
  target: list_models
  kind: read
  resource: {{type: Provider, fixed: models}}
  amount: {{fixed: 0}}
  reserves: {{tokens: 0}}
  lease:
    grants: {{models: [small-1]}}
{COMMON}---
apiVersion: answerable/v1
kind: MandateTemplate
metadata: {{name: support}}
spec:
  useCase: support
  agent: scout
  purpose: Answer case 7
  grants:
    - {{capability: crm.read}}
    - {{capability: models.chat}}
    - {{capability: models.list}}
  environment: production
  callsMax: 1000
  budgets: {{tokens: 1000, "money:USD": 200}}
  ttlSeconds: 3600
---
apiVersion: answerable/v1
kind: PolicySet
metadata: {{name: all}}
spec:
  policies: |
    @id("all")
    permit(principal, action, resource);
"""


def documents() -> str:
    """The people and the agent of the support desk; what the agent may ask of the CRM and of models."""
    return support_documents().partition("---\napiVersion: answerable/v1\nkind: Server\n")[0] + DOCUMENTS


class Desk(Mailbox):
    """One of the two servers, asked by the agent."""

    async def does_call(self, key: SigningKey, tool: str, **arguments: Any) -> dict[str, Any]:
        """Once the broker is connected, which takes a moment after the start of the server."""
        for _ in range(300):
            said = await self.asked(key, "tools/call", tool, **arguments)
            if "upstream.unknown" not in said["text"] and "not connected" not in said["text"]:
                break
            await asyncio.sleep(0.1)
        return said


class Desks:
    """home: the server. crm, models: what agents reach through its broker."""

    def __init__(self, home: House, mandate: str) -> None:
        self.home = home
        self.mandate = mandate
        self.crm = Desk(home, mandate, "crm")
        self.models = Desk(home, mandate, "models")


@asynccontextmanager
async def desks(
    root: Path, server: AuthorizationServer, api: ResourceServer, provider: StandIn
) -> AsyncIterator[Desks]:
    async with house(root, SETTINGS) as home:
        targets = home.data / "broker/targets"
        targets.mkdir(mode=0o700, parents=True)
        kept = home.data / "broker"
        (targets / "crm.toml").write_text(CRM.format(api=api.url, login=server.issuer, folder=kept))
        (targets / "crm-secret").write_text(SECRET)
        (targets / "models.toml").write_text(MODELS.format(provider=provider.url))
        (targets / "provider-key").write_text(KEY)
        for person in ("ada", "bela"):
            key = create_key(root / f"{person}.jwk", seed=os.urandom(32))
            (root / f"{person}.pub.jwk").write_text(public_jwk(key))
        await home.start()
        await asyncio.to_thread(home.apply, documents())
        issue = ("mandate", "issue", "support", "--as", "ada", "--key", str(root / "ada.jwk"), "--yes")
        mandate = (await asyncio.to_thread(home.command, *issue)).strip()
        yield Desks(home, mandate)
