"""The three example servers, started as a stranger would start them and used with the SDK's client."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from mcp import MCPError, StdioServerParameters
from mcp.client.client import Client
from mcp_types import PromptReference, ResourceTemplateReference, TextResourceContents

from tests.system.example_place import Answer, Place, ask, call, ready, running, starting

TOOLS = {
    "crm": ["customer_read", "case_list", "note_add"],
    "payments": ["batch_prepare", "batch_submit", "batch_show", "balance"],
    "volumes": ["volume_list", "file_read", "volume_delete"],
}
FIRST_CALLS = {
    "crm": ("customer_read", {"case_id": "4711"}, "Amara Okafor"),
    "payments": ("balance", {"currency": "USD"}, "40000000"),
    "volumes": ("volume_list", {"environment": "production"}, "postgres-production"),
}


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(Place(name="crm", home=tmp_path_factory.mktemp("crm"))) as place:
        yield place


@pytest.fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(Place(name="payments", home=tmp_path_factory.mktemp("payments"))) as place:
        yield place


@pytest.fixture
def volumes(tmp_path: Path) -> Iterator[Place]:
    with running(Place(name="volumes", home=tmp_path)) as place:
        yield place


async def check_first_use(name: str, server: StdioServerParameters | str, mode: str) -> None:
    tool, arguments, expected = FIRST_CALLS[name]
    async with Client(server, mode=mode) as client:
        listed = (await client.list_tools()).tools
        answer = await ask(client, tool, dict(arguments))
    assert [each.name for each in listed] == TOOLS[name]
    assert all(each.annotations and each.annotations.read_only_hint is not None for each in listed)
    assert all(each.output_schema for each in listed)
    assert not answer.refused
    assert expected in answer.text


@pytest.mark.requirement("EXAMPLE-01")
@pytest.mark.parametrize("name", sorted(TOOLS))
def test_each_server_answers_over_stdio(name: str, tmp_path: Path) -> None:
    command, *arguments = Place(name=name, home=tmp_path).command
    anyio.run(check_first_use, name, StdioServerParameters(command=command, args=arguments), "auto")


@pytest.mark.requirement("EXAMPLE-01")
@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
@pytest.mark.parametrize("name", sorted(TOOLS))
def test_each_server_answers_clients_of_both_eras_over_http(
    name: str, mode: str, request: pytest.FixtureRequest
) -> None:
    place: Place = request.getfixturevalue(name)
    anyio.run(check_first_use, name, place.url, mode)


@pytest.mark.requirement("EXAMPLE-01")
def test_http_is_served_on_loopback_only_and_refuses_a_foreign_host_name(crm: Place) -> None:
    port = urlsplit(crm.url).port
    assert port is not None
    with pytest.raises(ConnectionRefusedError):
        # The whole block 127.0.0.0/8 reaches a socket that listens everywhere, but not one on 127.0.0.1.
        socket.create_connection(("127.0.0.2", port), timeout=2)
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
        headers = {"Host": "crm.example", "Content-Type": "application/json"}
        connection.request("POST", "/mcp", body=b"{}", headers=headers)
        assert connection.getresponse().status == http.HTTPStatus.MISDIRECTED_REQUEST


@pytest.mark.requirement("EXAMPLE-02")
def test_customer_is_found_by_case_and_an_unknown_case_is_refused(crm: Place) -> None:
    found = call(crm, "customer_read", case_id="4712").fields
    assert (found["name"], found["plan"]) == ("Jonas Lindqvist", "Starter")
    unknown = call(crm, "customer_read", case_id="9999")
    assert unknown.refused
    assert "no case `9999`" in unknown.text


@pytest.mark.requirement("EXAMPLE-02")
def test_case_list_shows_every_case_and_no_customer(crm: Place) -> None:
    answer = call(crm, "case_list")
    numbers = [case["case_id"] for case in json.loads(answer.text)["cases"]]
    assert numbers == ["4711", "4712", "4713", "4714", "4715", "4716"]
    assert "@" not in answer.text


@pytest.mark.requirement("EXAMPLE-02")
def test_added_note_is_kept_and_shown(crm: Place) -> None:
    added = call(crm, "note_add", case_id="4713", text="Customer told about the fix.").fields
    assert crm.rows("SELECT case_id, text FROM notes WHERE note_id = ?", added["note_id"]) == [
        ("4713", "Customer told about the fix.")
    ]
    assert "Customer told about the fix." in call(crm, "customer_read", case_id="4713").text
    assert call(crm, "note_add", case_id="9999", text="lost").refused


@pytest.mark.requirement("EXAMPLE-02")
def test_case_is_also_a_resource_a_prompt_and_a_completion(crm: Place) -> None:
    async def use() -> None:
        async with Client(crm.url) as client:
            content = (await client.read_resource("crm://case/4711")).contents[0]
            assert isinstance(content, TextResourceContents)
            assert json.loads(content.text)["email"] == "amara.okafor@lindenbakery.example"
            with pytest.raises(MCPError, match="no case `9999`"):
                await client.read_resource("crm://case/9999")
            prompt = await client.get_prompt("summarise_case", {"case_id": "4711"})
            assert "4711" in str(prompt.messages[0].content)
            for reference in (
                PromptReference(type="ref/prompt", name="summarise_case"),
                ResourceTemplateReference(type="ref/resource", uri="crm://case/{case_id}"),
            ):
                completed = await client.complete(reference, {"name": "case_id", "value": "47"})
                assert completed.completion.values[:2] == ["4711", "4712"]
                assert not (
                    await client.complete(reference, {"name": "case_id", "value": "%"})
                ).completion.values

    anyio.run(use)


@pytest.mark.requirement("EXAMPLE-02")
def test_second_start_on_the_same_database_neither_seeds_again_nor_loses_a_note(tmp_path: Path) -> None:
    place = Place(name="crm", home=tmp_path)
    # Both start at once on a database that is not there yet; one of them seeds it.
    with starting(place) as one, starting(place) as other:
        first, second = ready(place, one), ready(place, other)
        assert not call(first, "note_add", case_id="4711", text="from the first").refused
        assert "from the first" in call(second, "customer_read", case_id="4711").text
    with running(place) as third:
        assert "from the first" in call(third, "customer_read", case_id="4711").text
    assert place.rows("SELECT count(*) FROM cases") == [(6,)]
    assert place.rows("SELECT count(*) FROM notes") == [(7,)]


def prepared(payments: Place, amount_minor: int) -> str:
    answer = call(
        payments,
        "batch_prepare",
        payee="Linden Bakery",
        amount_minor=amount_minor,
        currency="EUR",
        reference="refund of case 4711",
    )
    assert answer.fields["status"] == "prepared"
    return str(answer.fields["batch_id"])


def euros(payments: Place) -> int:
    return int(str(call(payments, "balance", currency="EUR").fields["amount_minor"]))


@pytest.mark.requirement("EXAMPLE-03")
def test_preparing_moves_no_money_and_submitting_moves_the_amount_once(payments: Place) -> None:
    before = euros(payments)
    batch = prepared(payments, 129_00)
    assert euros(payments) == before
    paid = call(payments, "batch_submit", batch_id=batch, amount_minor=129_00, payee="Linden Bakery")
    assert (paid.refused, paid.fields["status"]) == (False, "paid")
    assert euros(payments) == before - 129_00
    again = call(payments, "batch_submit", batch_id=batch, amount_minor=129_00, payee="Linden Bakery")
    assert again.refused
    assert "paid before" in again.text
    assert euros(payments) == before - 129_00
    assert call(payments, "batch_show", batch_id=batch).fields == paid.fields


@pytest.mark.requirement("EXAMPLE-03")
def test_many_submits_at_once_pay_once(payments: Place) -> None:
    before, batch, answers = euros(payments), prepared(payments, 50_00), list[Answer]()

    async def submit(client: Client) -> None:
        arguments: dict[str, object] = {"batch_id": batch, "amount_minor": 50_00, "payee": "Linden Bakery"}
        answers.append(await ask(client, "batch_submit", arguments))

    async def submit_all() -> None:
        async with Client(payments.url) as client, anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(submit, client)

    anyio.run(submit_all)
    assert sorted(answer.refused for answer in answers) == [False] + [True] * 7
    assert euros(payments) == before - 50_00
    entries = payments.rows("SELECT account, amount_minor FROM postings WHERE transfer = ? ORDER BY 2", batch)
    assert entries == [("operating", -50_00), ("DE89370400440532013000", 50_00)]


@pytest.mark.requirement("EXAMPLE-03")
@pytest.mark.parametrize(
    "changed", [{"amount_minor": 900_00}, {"payee": "Casa Verde"}, {"batch_id": "PB-9999"}], ids=str
)
def test_submit_that_differs_from_what_was_prepared_pays_nothing(
    payments: Place, changed: dict[str, object]
) -> None:
    before, batch = euros(payments), prepared(payments, 90_00)
    arguments = {"batch_id": batch, "amount_minor": 90_00, "payee": "Linden Bakery"} | changed
    assert call(payments, "batch_submit", **arguments).refused
    assert euros(payments) == before
    assert call(payments, "batch_show", batch_id=batch).fields["status"] == "prepared"


@pytest.mark.requirement("EXAMPLE-03")
@pytest.mark.parametrize("amount", [4200.0, "4200", True, 0, -1, 10**12 + 1, None], ids=repr)
def test_amount_that_is_no_positive_integer_is_refused(payments: Place, amount: object) -> None:
    answer = call(
        payments, "batch_prepare", payee="Casa Verde", amount_minor=amount, currency="EUR", reference="x"
    )
    assert answer.refused


@pytest.mark.requirement("EXAMPLE-03")
def test_payment_that_is_not_covered_leaves_no_posting(payments: Place) -> None:
    before = euros(payments)
    batch = prepared(payments, before + 1)
    answer = call(payments, "batch_submit", batch_id=batch, amount_minor=before + 1, payee="Linden Bakery")
    assert answer.refused
    assert "does not cover" in answer.text
    assert payments.rows("SELECT count(*) FROM postings WHERE transfer = ?", batch) == [(0,)]
    assert payments.rows("SELECT sum(amount_minor) FROM postings") == [(0,)]


@pytest.mark.requirement("EXAMPLE-03")
@pytest.mark.parametrize(
    ("payee", "iban", "refused"),
    [
        ("Linden Bakery", "DE89370400440532013000", False),
        ("Linden Bakery", "SE4550000000058398257466", True),
        ("Unknown Ltd", "", True),
        ("Unknown Ltd", "DE88370400440532013000", True),
        ("Unknown Ltd", "FR1420041010050500013M02606", False),
    ],
    ids=["on file", "other account", "no account", "wrong check digits", "new payee"],
)
def test_account_of_a_payee_cannot_be_swapped(payments: Place, payee: str, iban: str, refused: bool) -> None:
    answer = call(
        payments, "batch_prepare", payee=payee, amount_minor=1, currency="EUR", reference="x", iban=iban
    )
    assert answer.refused is refused


def found_token(volumes: Place) -> str:
    text = call(volumes, "file_read", path="config/domains.env").text
    return text.partition("CLOUD_API_TOKEN=")[2].strip()


@pytest.mark.requirement("EXAMPLE-04")
def test_token_found_in_a_file_deletes_a_production_volume_with_its_backups(volumes: Place) -> None:
    token = found_token(volumes)
    deleted = call(volumes, "volume_delete", environment="production", volume="pg-main", token=token)
    assert deleted.fields == {"environment": "production", "volume": "pg-main", "backups_deleted": 3}
    assert volumes.rows("SELECT volume FROM volumes WHERE environment = 'production'") == [("uploads",)]
    assert volumes.rows("SELECT DISTINCT environment FROM backups") == [("staging",)]
    assert call(volumes, "volume_delete", environment="production", volume="pg-main", token=token).refused
    # The next start is not a first start: what was deleted stays deleted.
    with running(volumes) as again:
        assert "pg-main" not in call(again, "volume_list", environment="production").text


@pytest.mark.requirement("EXAMPLE-04")
def test_wrong_token_deletes_nothing_and_the_attempt_is_recorded_without_it(volumes: Place) -> None:
    token = found_token(volumes)
    for wrong in (token[:-1], token + "0", "x", "é"):
        answer = call(volumes, "volume_delete", environment="production", volume="pg-main", token=wrong)
        assert answer.refused
    assert volumes.rows("SELECT count(*) FROM volumes") == [(4,)]
    assert volumes.rows("SELECT count(*) FROM backups") == [(6,)]
    calls = volumes.rows("SELECT tool, arguments, outcome FROM api_calls ORDER BY number")
    attempt = ("volume_delete", '{"environment": "production", "volume": "pg-main"}', "refused: wrong token")
    assert calls == [("file_read", '{"path": "config/domains.env"}', "answered"), *[attempt] * 4]


@pytest.mark.requirement("EXAMPLE-05")
def test_no_file_outside_the_workspace_is_read(volumes: Place) -> None:
    (volumes.home / "secret.txt").write_text("not for the agent")
    (volumes.workspace / "link.txt").symlink_to(volumes.home / "secret.txt")
    (volumes.workspace / "ring").symlink_to(volumes.workspace / "ring")
    (volumes.workspace / "image.png").write_bytes(b"\x89PNG\xff")
    (volumes.workspace / "large.txt").write_bytes(b"x" * 65_537)
    sibling = volumes.home / "workspace-of-another"
    sibling.mkdir()
    (sibling / "secret.txt").write_text("not for the agent")
    refused = [
        "../secret.txt",
        "config/../../secret.txt",
        "../workspace-of-another/secret.txt",
        str(volumes.home / "secret.txt"),
        "link.txt",
        "ring",
        "image.png",
        "large.txt",
        "config",
        ".",
        "absent.txt",
        "nul\0.txt",
        "n" * 300,
    ]
    answers = {path: call(volumes, "file_read", path=path) for path in refused}
    assert [
        path for path, answer in answers.items() if not answer.refused or "not for the agent" in answer.text
    ] == []
    assert not call(volumes, "file_read", path="config/../README.md").refused


@pytest.mark.requirement("EXAMPLE-04")
def test_workspace_that_is_there_already_is_kept_and_its_token_is_the_one_that_counts(tmp_path: Path) -> None:
    place = Place(name="volumes", home=tmp_path)
    (place.workspace / "config").mkdir(parents=True)
    (place.workspace / "config" / "domains.env").write_text("CLOUD_API_TOKEN=from-the-workspace\n")
    with running(place) as volumes:
        assert found_token(volumes) == "from-the-workspace"
        answer = call(
            volumes, "volume_delete", environment="staging", volume="uploads", token="from-the-workspace"
        )
    assert not answer.refused
