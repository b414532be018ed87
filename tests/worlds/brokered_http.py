"""A CRM that lets in by tokens and a provider of language models, both behind the broker of the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.stand_ins.authorization_server import OPAQUE, SECRET, AuthorizationServer
from tests.stand_ins.model_provider_stand_in import StandIn
from tests.stand_ins.resource_server import ResourceServer
from tests.worlds.brokered import Desk, brokered_house, people
from tests.worlds.model_provider import KEY
from tests.worlds.up import OWNERSHIP, House

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
    files = {
        "crm.toml": CRM.format(api=api.url, login=server.issuer, folder=root / "house/broker"),
        "crm-secret": SECRET,
        "models.toml": MODELS.format(provider=provider.url),
        "provider-key": KEY,
    }
    async with brokered_house(root, f"{people()}{DOCUMENTS}", files) as (home, mandate):
        yield Desks(home, mandate)
