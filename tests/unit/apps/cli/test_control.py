"""Claims about the conversation with the control API."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.responses import JSONResponse

from answerable.api.approval_answers import Approval
from answerable.api.mandate_answers import Draft
from answerable.api.members import Page, Token
from answerable.api.registry_answers import Template, TemplateParameter
from answerable.apps.cli.control import Control, error_of
from answerable.apps.cli.exit_codes import code_of
from answerable.apps.control_api.problems import problem_of
from answerable.client import incident_calls, ledger_calls, search_calls, tree_calls
from answerable.client.transport import INDEX_SECONDS_MAX, READ_SECONDS_MAX, items_of
from answerable.core.canonical import freeze
from answerable.errors import AnswerableError, Broken, Malformed, Refused, Unavailable, Unverified
from answerable.errors.codes.search import SEARCH_OFF
from answerable.ports.search_process import QUESTION_SECONDS_MAX
from answerable.sdk.keyfile import create_key
from tests.probes.typed_lines import typed
from tests.stand_ins.control_listener import answering
from tests.worlds.answers import blank

ERRORS = (
    (Malformed("a", code="x.a"), 400, 1),
    (Unverified("b", code="x.b", step="proof"), 401, 3),
    (Refused("c", code="x.c", reasons=("one", "two"), entry_index=7), 403, 3),
    (Refused("c", code="x.unknown"), 404, 1),
    (Unavailable("d", code="x.d", port="ledger", effect="unknown"), 503, 1),
    (Broken("e", code="x.e"), 500, 1),
)


@pytest.mark.parametrize(("error", "status", "code"), ERRORS)
def test_an_error_arrives_as_it_was_raised(error: AnswerableError, status: int, code: int) -> None:
    told, problem = problem_of(error)
    arrived = error_of(json.loads(json.dumps(problem)))
    assert (type(arrived), vars(arrived)) == (type(error), vars(error))
    assert (told, code_of(arrived)) == (status, code)
    assert problem["type"] == f"urn:answerable:error:{error.code}"


@pytest.mark.parametrize("answer", [None, [], {}, {"branch": "other"}])
def test_an_answer_that_is_no_problem_is_our_fault(answer: Any) -> None:
    assert isinstance(error_of(answer), Broken)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "0" * 64},
        {
            "action": '{"arguments":{"case":"4712"},"method":"tools/call","server":"crm","target":"case_delete"}'
        },
        {
            "action": '{ "arguments":{"case":"4711"},"method":"tools/call","server":"crm","target":"case_delete"}'
        },
    ],
)
def test_nothing_is_signed_when_the_digest_is_not_that_of_the_action_shown(
    tmp_path: Path, change: dict[str, str]
) -> None:
    action = freeze(
        {"arguments": {"case": "4711"}, "method": "tools/call", "server": "crm", "target": "case_delete"}
    )
    approval = blank(Approval) | {
        "id": "a", "state": "pending", "agent": "agent", "principal": "ada", "mandate": "m", "purpose": "",
        "capability": "crm.delete", "action": action.bytes.decode(), "digest": action.hex, "reasons": [],
        "requirements": [{"group": "leads", "count": 1}], "answers": [], "audience": "x",
        "created_at": "2026-11-24T12:00:00.000Z", "expires_at": "2026-11-24T12:15:00.000Z", **change,
    }  # fmt: skip
    called: list[str] = []

    async def lying(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope["method"])
        await JSONResponse(approval)(scope, receive, send)

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield lying

    create_key(tmp_path / "ben.jwk", seed=bytes(32))
    arguments = ["approval", "approve", "a", "--as", "ben", "--key", str(tmp_path / "ben.jwk"), "--yes"]
    result = typed(offline, [*arguments, "--data", str(tmp_path)])
    assert result.exit_code != 0
    assert called == ["GET"]


@pytest.mark.requirement("HOUSE-52")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"items": [{"token": "a", "more": 1}], "next": None}, ""),
        ({"items": [{}], "next": None}, "has no `token`"),
        ({"next": None}, "has no `items`"),
        ({"items": [{"token": 7}], "next": None}, "is of another shape"),
    ],
)
def test_an_answer_is_read_as_its_type_and_another_one_is_told(answer: Any, said: str) -> None:
    asked: list[Any] = []

    def exchange(*words: str, **given: Any) -> Any:
        asked.append((*words, given))
        return SimpleNamespace(status_code=200, content=json.dumps(answer).encode())

    control = Control(exchange)
    if said:
        with pytest.raises(Broken, match=said):
            list(items_of(control, Page[Token], "/v1/x", {"state": "a"}))
    else:
        assert list(items_of(control, Page[Token], "/v1/x", {"state": "a"})) == [Token(token="a")]
    query = {"state": "a", "limit": "500"}
    assert asked == [("GET", "/v1/x", {"params": query, "timeout": READ_SECONDS_MAX})]


@pytest.mark.requirement("SEARCH-09")
@pytest.mark.parametrize(
    "ask",
    [
        search_calls.search_actions,
        partial(search_calls.show_timeline, name="scout"),
        partial(tree_calls.show_mandate_tree, id="m-1"),
        incident_calls.list_incidents,
        lambda control: list(ledger_calls.find_actions(control, model="m")),
    ],
)
def test_who_asks_the_index_waits_for_the_bound_of_the_server_and_is_told_no_other(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[Control], object]
) -> None:
    monkeypatch.setattr("answerable.apps.cli.control.READ_SECONDS_MAX", 0.001)
    said, waits, told = list[str](), list[float](), threading.Event()

    def say(text: str) -> None:
        said.append(text)
        told.set()

    def exchange(method: str, path: str, *, timeout: float, **given: Any) -> Any:
        waits.append(timeout)
        told.wait(20)
        return SimpleNamespace(status_code=503, content=b"{}")

    with pytest.raises(AnswerableError):
        ask(Control(exchange, say=say))
    assert (waits, "up to 20 s in all" in said[0]) == ([INDEX_SECONDS_MAX], True)
    assert INDEX_SECONDS_MAX == QUESTION_SECONDS_MAX + 5


@pytest.mark.requirement("HOUSE-52")
def test_every_page_of_a_list_is_asked_for_and_a_body_is_sent_as_its_members() -> None:
    asked: list[Any] = []

    def exchange(method: str, path: str, *, timeout: float, **given: Any) -> Any:
        asked.append(given)
        page = {"items": [{"token": str(len(asked))}], "next": "c" if len(asked) == 1 else None}
        return SimpleNamespace(status_code=200, content=json.dumps(page).encode())

    control = Control(exchange)
    assert [one.token for one in items_of(control, Page[Token], "/v1/x")] == ["1", "2"]
    control.answer_as(Page[Token], "POST", "/v1/x", body=Token(token="b"))
    assert asked == [
        {"params": {"limit": "500"}},
        {"params": {"limit": "500", "cursor": "c"}},
        {"json": {"token": "b"}},
    ]


def lying_app(answer: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse(answer)(scope, receive, send)

    @asynccontextmanager
    async def offline(_: Any) -> AsyncIterator[Any]:
        yield app

    return offline


@pytest.mark.parametrize("change", [{"iss": "eve"}, {"aud": "elsewhere"}])
def test_a_draft_for_somebody_or_something_else_is_not_signed(tmp_path: Path, change: dict[str, str]) -> None:
    claims = {
        "iss": "ada", "sub": "agent", "aud": "here", "jti": "m", "use_case": "support", "purpose": "Work",
        "grants": [["crm.read", []]], "caveats": [], "calls_max": 1, "not_before_ms": 1, "expires_at_ms": 2, **change,
    }  # fmt: skip
    beside = {"capabilities": [], "environments": [], "beyond": []}
    draft = blank(Draft) | {
        "audience": "here",
        "claims": claims,
        "titles": {},
        "beside": beside,
        "sentences": ["It can do nothing."],
    }
    create_key(tmp_path / "ada.jwk", seed=bytes(32))
    arguments = ["mandate", "issue", "t", "--as", "ada", "--key", str(tmp_path / "ada.jwk"), "--yes"]
    result = typed(lying_app(draft), [*arguments, "--data", str(tmp_path)])
    assert result.exit_code == 3
    assert "another principal or audience" in result.stderr


def test_what_is_shown_of_a_draft_is_made_from_what_will_be_signed(tmp_path: Path) -> None:
    claims = {
        "iss": "ada", "sub": "agent", "aud": "here", "jti": "m", "use_case": "support", "purpose": "Work",
        "grants": [["crm.delete", []]], "caveats": [], "calls_max": 1, "not_before_ms": 1, "expires_at_ms": 2,
    }  # fmt: skip
    beside = {"capabilities": [], "environments": [], "beyond": []}
    draft = blank(Draft) | {
        "audience": "here",
        "claims": claims,
        "titles": {},
        "beside": beside,
        "sentences": ["It can do nothing."],
    }
    arguments = ["mandate", "preview", "t", "--as", "ada", "--data", str(tmp_path)]
    shown = typed(lying_app(draft), arguments).stdout
    assert "`crm.delete`" in shown
    assert "It can do nothing" not in shown


def test_a_socket_that_hangs_up_is_an_error_that_says_whether_anything_may_have_happened(
    tmp_path: Path,
) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def hang_up() -> None:
            for _ in range(2):  # The probe, then the request.
                listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        result = typed(lambda _: None, ["ledger", "seal", "--data", str(tmp_path)])
        thread.join(5)
    assert result.exit_code == 1
    assert "the server did not answer" in result.stderr


def test_a_socket_left_behind_by_a_dead_server_is_no_server(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
    result = typed(lying_app({"items": [], "next": None}), ["mandate", "list", "--data", str(tmp_path)])
    assert result.exit_code == 0
    assert "no server answers" in result.stderr


def test_what_is_missing_is_asked_for_and_without_a_terminal_named(tmp_path: Path) -> None:
    asked = ({"name": "case", "title": "number of the case"}, {"name": "day", "title": ""})
    parameters = [blank(TemplateParameter) | one for one in asked]
    template = blank(Template) | {"parameters": parameters}
    create_key(tmp_path / "ada.jwk", seed=bytes(32))
    arguments = ["mandate", "new", "t", "day=1", "--as", "ada", "--key", str(tmp_path / "ada.jwk")]
    result = typed(lying_app(template), [*arguments, "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "standard input is not a terminal: give case=VALUE" in result.stderr
    twice = [*arguments, "day=2", "--data", str(tmp_path)]
    assert "`day` is given twice" in typed(lying_app(template), twice).stderr


@pytest.mark.requirement("FOLLOW-03")
def test_without_a_server_no_log_is_followed_and_nothing_is_opened_to_say_so(tmp_path: Path) -> None:
    def opened(settings: Any) -> Any:
        raise AssertionError(settings)

    told = typed(opened, ["log", "list", "--data", str(tmp_path)])
    assert told.exit_code == 1
    assert "no server answers at `/" in told.stderr
    assert "only a server follows logs: start `answerable up`" in told.stderr
    assert "index" not in told.output


@pytest.mark.requirement("FOLLOW-03")
def test_a_server_without_an_index_is_said_to_follow_no_log(tmp_path: Path) -> None:
    _, problem = problem_of(SEARCH_OFF())
    body = json.dumps(problem).encode()

    def refusing(connected: socket.socket) -> None:
        connected.sendall(b"HTTP/1.1 503 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with answering(tmp_path / "control.sock", refusing):
        told = typed(lying_app({}), ["log", "list", "--data", str(tmp_path)])
    assert told.exit_code == 1
    assert "this server follows no log" in told.stderr
    assert "set `search.enabled` and `logs.follow`" in told.stderr
    assert "index" not in told.output
