"""Claims about the control API: who may call, what is read, and that it answers what its document says."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from answerable.apps.control_api.application import control_app
from answerable.apps.control_api.openapi import openapi_document
from answerable.apps.control_api.operations import OPERATIONS
from answerable.core.canonical import JSONValue
from answerable.core.identity.proof.channel import CHANNEL_EXTENSION, Channel, PeerCredentials
from answerable.core.mandate.token import terms_of
from answerable.core.tlog.note import VerifierKey
from answerable.sdk.keyfile import load_key
from answerable.sdk.signing import signed_mandate
from answerable.testing import samples
from answerable.verify.evidence_bundle import verify_evidence
from answerable.wiring.registry_documents import read_documents
from tests.unit.apps.control_api.control_containment import use_containment
from tests.unit.apps.control_api.control_duties import use_duties
from tests.unit.apps.control_api.control_identity import use_identity
from tests.unit.apps.control_api.control_incidents import use_incidents
from tests.unit.apps.control_api.control_index import indexed, use_index
from tests.unit.apps.control_api.control_issuers import use_issuers
from tests.unit.apps.control_api.control_leases import use_leases
from tests.unit.apps.control_api.control_people import use_people
from tests.unit.apps.control_api.control_policies import use_policies
from tests.worlds.answers import read_back
from tests.worlds.control import Product, World, asked, made_world, memory_product
from tests.worlds.control_approvals import use_approvals, use_groups
from tests.worlds.parts import NO_SEARCHES

pytestmark = pytest.mark.anyio
DOCUMENT: Any = openapi_document()


class Client:
    """Calls operations by their id and holds each answer against the OpenAPI document."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self.used: set[str] = set()

    async def __call__(self, operation: str, body: Any = None, *, status: int = 200, **given: str) -> Any:
        row = next(row for row in OPERATIONS if row.id == operation)
        names = [part.strip("{}") for part in row.path.split("/") if part.startswith("{")]
        path = row.path.format(**{name: given.pop(name) for name in names})
        response = await self.http.request(row.method, path, params=given, json=body)
        assert response.status_code == status, response.text
        answers = DOCUMENT["paths"][row.path][row.method.lower()]["responses"]
        key, media = ("200", "application/json") if status == 200 else ("default", "application/problem+json")
        assert response.headers["content-type"] == media
        valid(answers[key]["content"][media]["schema"], response.json())
        if status == 200 and row.types:
            assert read_back(row.shape, response.content) == response.content
        self.used.add(operation)
        return response.json()


def valid(schema: Any, value: Any) -> None:
    jsonschema_rs.validate({**schema, "components": DOCUMENT["components"]}, value)


@asynccontextmanager
async def client_of(app: Any, uid: int | None = os.geteuid()) -> AsyncIterator[Client]:
    async def from_peer(scope: Any, receive: Any, send: Any) -> None:
        if uid is not None:
            peer = PeerCredentials(pid=1, uid=uid, gid=1)
            scope = {**scope, "extensions": {CHANNEL_EXTENSION: Channel(connection=1, sequence=1, peer=peer)}}
        await app(scope, receive, send)

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=from_peer), base_url="http://x") as http:
        yield Client(http)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return made_world(tmp_path)


@pytest.fixture
def product() -> Product:
    return indexed(memory_product())


@pytest.fixture
async def client(product: Product) -> AsyncIterator[Client]:
    async with client_of(control_app(product)) as client:
        yield client


def documents(world: World) -> list[Any]:
    return list(read_documents([str(world.registry)], standard_input="").documents)


async def issued(client: Client, world: World, case: str = "4711") -> Any:
    draft = await client("draft_mandate", {"principal": "ada", "parameters": {"case": case}}, name="one-case")
    token = signed_mandate(
        terms_of(draft["claims"]), audience=draft["audience"], key=load_key(world.key("ada"))
    )
    return await client("issue_mandate", {"token": token})


@pytest.mark.requirement("HOUSE-52")
async def test_servers_of_every_kind_are_listed_as_the_document_says(client: Client):
    kinds: dict[str, dict[str, JSONValue]] = {
        "broker": {"target": "mail"},
        "http": {"url": "http://127.0.0.1:9/mcp"},
        "stdio": {"command": "python3"},
    }
    given = [samples.document("Server", name, spec) for name, spec in kinds.items()]
    await client("apply_documents", {"documents": given})
    listed = (await client("list_servers"))["items"]
    assert [one["transport"] for one in listed] == [one["name"] for one in listed] == [*kinds]


@pytest.mark.requirement("REVOKE-10", "HOUSE-52")
async def test_every_operation_answers_what_the_document_says(
    client: Client, product: Product, world: World, tmp_path: Path
):
    given = documents(world)
    planned = await client("plan_documents", {"documents": given})
    assert [change["how"] for change in planned["changes"]] == ["added"] * len(given)
    assert (await client("list_documents"))["items"] == []
    applied = await client("apply_documents", {"documents": given})
    assert (applied["changes"], applied["inactive"]) == (planned["changes"], [])
    assert (await client("plan_documents", {"documents": given}))["changes"] == []
    assert len((await client("list_documents", kind="Capability"))["items"]) == 2
    shown = await client("show_document", kind="Agent", name="support-agent")
    assert shown["document"] in given
    assert await client("check_registry") == {"inactive": [], "findings": []}
    for operation in ("agents", "servers", "capabilities", "templates"):
        assert (await client(f"list_{operation}"))["items"][0]["active"]
    await client("show_template", name="one-case")
    mandate = await issued(client, world)
    assert mandate == await client("show_mandate", id=mandate["id"])
    assert (await client("list_mandates", state="open"))["items"] == [mandate]
    await use_approvals(client, product, world, mandate["id"])
    await asked(product, "case_read", "4711", mandate["id"])
    assert (await client("show_mandate", id=mandate["id"]))["calls_used"] == 1
    assert (await client("close_mandate", {}, id=mandate["id"]))["state"] == "closed"
    async with client_of(control_app(replace(product, searches=NO_SEARCHES))) as bare:
        await use_index(bare, client, mandate["id"])
        await use_incidents(bare, client, product, world)
    status = await client("show_status")
    assert (status["mandates_open"], status["approvals_pending"]) == (0, 0)
    assert (await client("seal_ledger", {}))["checkpoint"].startswith("example.test/ledger\n")
    assert status["entries"] == (await client("show_ledger"))["entries"]
    entry = await client("show_entry", index="1")
    assert (entry["kind"], entry["payload"]["by"]) == ("registry_change", f"uid:{os.geteuid()}")
    assert entry["leaf"]["by"] != entry["payload"]["by"], "the leaf has a pseudonym"
    wanted = {"entries": [0], "about": {"mandate": mandate["id"]}, "reveal": ["purpose"]}
    evidence = await client("export_evidence", wanted)
    report = verify_evidence(b64decode(evidence["bundle"]), key=VerifierKey.parse(product.log_key))
    assert (report.status, len(report.entries)) == ("valid_but", len(evidence["entries"]))
    assert evidence["shown"] == sum(len(one.shown) for one in report.entries) > 0
    await use_policies(client, product, world)
    await use_issuers(client)
    await use_leases(client, product, tmp_path)
    await use_identity(client, product, world)
    await use_containment(client, product, world)
    await use_people(client, product)
    await use_duties(client, product, world)
    await use_groups(client, product, mandate["id"], world)
    assert client.used | bare.used == {row.id for row in OPERATIONS}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"entries": [], "reveal": []}, "evidence.nothing"),
        ({"entries": [-1], "reveal": []}, "request.body"),
        ({"entries": [0, 0], "reveal": []}, "request.body"),
        ({"entries": ["0"], "reveal": []}, "request.body"),
        ({"entries": [0], "reveal": [1]}, "request.body"),
        ({"entries": [0], "reveal": [], "about": {"agent": "a"}}, "request.body"),
        ({"entries": [0], "reveal": ["nothing"]}, "evidence.reveal"),
        ({"entries": [99], "reveal": []}, "ledger.no_entry"),
    ],
)
async def test_evidence_that_cannot_be_had_is_refused(client: Client, body: Any, code: str) -> None:
    assert (await client("export_evidence", body, status=400))["code"] == code


@pytest.mark.parametrize("uid", [None, 4_000_000_000 - 1])
async def test_a_stranger_or_an_unknown_caller_is_told_nothing(product: Product, uid: int | None) -> None:
    async with client_of(control_app(product), uid) as client:
        for row in OPERATIONS:
            given = {part.strip("{}"): "1" for part in row.path.split("/") if part.startswith("{")}
            problem = await client(row.id, {}, status=401, **given)
            assert problem["code"] == "control.peer"
            assert problem["reasons"] == [problem["detail"]]
            assert (problem["effect"], problem["retry"]) == ("none", False)


async def test_the_api_describes_itself_to_its_callers_only(product: Product, client: Client) -> None:
    assert (await client.http.get("/v1/openapi.json")).json() == DOCUMENT
    async with client_of(control_app(product), None) as stranger:
        assert (await stranger.http.get("/v1/openapi.json")).status_code == 401


async def test_root_may_call(product: Product) -> None:
    async with client_of(control_app(product), 0) as client:
        assert (await client("show_status"))["entries"] == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"documents": [], "documents": []}', "json.duplicate_member"),
        (b'{"documents": [NaN]}', "json.not_finite"),
        (b'{"documents": "\xff"}', "json.utf8"),
        (b'{"documents": [], "dokuments": 1}', "request.body"),
        (b'{"documents": {}}', "request.body"),
        (b'{"prune": true}', "request.body"),
        (b"[]", "request.body"),
        (b"", "request.body"),
    ],
)
async def test_a_body_is_read_strictly(client: Client, body: bytes, code: str) -> None:
    response = await client.http.post(
        "/v1/registry/plan", content=body, headers={"content-type": "application/json"}
    )
    assert (response.status_code, response.json()["code"]) == (400, code)


async def test_a_body_past_its_limit_is_not_read_to_its_end(product: Product) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 1000

    async with client_of(control_app(product, body_bytes_max=10_000)) as client:
        assert isinstance(client.http._transport, httpx2.ASGITransport)
        app = client.http._transport.app
        sent: list[Any] = []
        chunks = endless()

        async def receive() -> Any:
            return {"type": "http.request", "body": await anext(chunks), "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/mandates",
            "raw_path": b"/v1/mandates",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
        }
        await app(scope, receive, send)
    assert sent[0]["status"] == 413
    assert read < 20


async def test_a_body_of_another_type_is_refused(client: Client) -> None:
    response = await client.http.post("/v1/mandates", content=b"{}", headers={"content-type": "text/plain"})
    assert (response.status_code, response.json()["code"]) == (415, "request.media_type")


async def test_unknown_paths_methods_and_parameters_are_problems_too(client: Client) -> None:
    for method, path, status, code in (
        ("GET", "/v1/nothing", 404, "request.path_unknown"),
        ("DELETE", "/v1/mandates", 405, "request.method"),
        ("GET", "/v1/mandates?stat=open", 400, "request.query"),
        ("GET", "/v1/mandates?limit=1&limit=2", 400, "request.query"),
        ("GET", "/v1/mandates?limit=0", 400, "request.query"),
        ("GET", "/v1/mandates?limit=501", 400, "request.query"),
        ("GET", "/v1/mandates?cursor=nothing", 400, "request.query"),
        ("GET", "/v1/mandates?state=opened", 400, "request.query"),
        ("GET", "/v1/approvals?state=waiting", 400, "request.query"),
        ("GET", "/v1/registry?kind=Agents", 400, "request.query"),
        ("GET", "/v1/ledger/entries/-1", 400, "request.path"),
        ("GET", "/v1/ledger/entries/99", 404, "ledger.entry.unknown"),
        ("GET", "/v1/mandates/nothing", 404, "mandate.unknown"),
        ("GET", "/v1/approvals/nothing", 404, "approval.unknown"),
        ("GET", "/v1/templates/nothing", 404, "template.unknown"),
        ("GET", "/v1/registry/Agent/nothing", 404, "registry.unknown"),
    ):
        response = await client.http.request(method, path)
        problem = response.json()
        assert (response.status_code, problem["code"]) == (status, code), path
        valid({"$ref": "#/components/schemas/Problem"}, problem)


async def test_lists_come_in_pages_without_gap_or_repetition(client: Client, world: World) -> None:
    await client("apply_documents", {"documents": documents(world)})
    whole = (await client("list_documents"))["items"]
    paged: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await client("list_documents", limit="3", **cursor)
        assert len(page["items"]) <= 3
        paged += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert paged == whole
    exact = await client("list_documents", limit=str(len(whole)))
    assert exact["next"] is None


async def test_a_refusal_carries_its_reasons_and_changes_nothing(
    client: Client, product: Product, world: World
) -> None:
    await client("apply_documents", {"documents": documents(world)})
    draft = await client(
        "draft_mandate", {"principal": "ada", "parameters": {"case": "1"}}, name="one-case", status=400
    )
    assert draft["code"] == "template.parameter"
    draft = await client(
        "draft_mandate", {"principal": "chen", "parameters": {"case": "4711"}}, name="one-case"
    )
    key = load_key(world.key("chen"))
    token = signed_mandate(terms_of(draft["claims"]), audience=draft["audience"], key=key)
    before = product.walk.recorder.ledger.size
    problem = await client("issue_mandate", {"token": token}, status=403)
    assert (problem["code"], problem["branch"]) == ("mandate.not_an_issuer", "refused")
    assert problem["reasons"]
    assert product.walk.recorder.ledger.size == before
    assert (await client("list_mandates"))["items"] == []


async def test_documents_at_fault_change_nothing(client: Client, world: World) -> None:
    given = documents(world)
    given[3]["spec"]["ownership"]["owner"] = "nobody"
    problem = await client("apply_documents", {"documents": given}, status=400)
    assert problem["code"] == "registry.faults"
    assert (await client("list_documents"))["items"] == []


async def test_what_lacks_an_owner_is_registered_but_not_active(client: Client, world: World) -> None:
    given = documents(world)
    for document in given:
        if document["kind"] == "Agent":
            del document["spec"]["ownership"]["backupOwner"]
    applied = await client("apply_documents", {"documents": given})
    assert {(one["kind"], one["name"]) for one in applied["inactive"]} == {
        ("Agent", "support-agent"),
        ("MandateTemplate", "one-case"),
    }
    (agent,) = (await client("list_agents"))["items"]
    assert agent["reasons"] == ["ownership lacks backupOwner: write it into the document"]
    await client("draft_mandate", {"principal": "ada", "parameters": {}}, name="one-case", status=404)


async def test_a_fault_of_ours_is_logged_not_told(product: Product, caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        walk = product.walk
        log_key = ""

        def checkpoint(self) -> str:
            raise RuntimeError("the password is hunter2")

        def server_states(self) -> dict[str, str]:
            return {}

    async with client_of(control_app(Failing())) as client:
        problem = await client("show_ledger", status=500)
    assert problem["code"] == "control.failed"
    assert "hunter2" not in json.dumps(problem)
    assert "hunter2" in caplog.text
