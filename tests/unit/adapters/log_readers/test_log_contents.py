"""What each reader takes of content."""

from __future__ import annotations

import io
import json

import pytest

from answerable.core.attribution.content import Said
from answerable.core.attribution.log_line import LogKind, LogLine
from answerable.wiring.target_logs import LogFiles
from tests.unit.adapters.log_readers.test_cloudtrail_log import caller, record
from tests.unit.adapters.log_readers.test_journald_log import entry
from tests.unit.adapters.log_readers.test_nginx_log import in_json as request
from tests.unit.adapters.log_readers.test_ocsf_log import event
from tests.unit.adapters.log_readers.test_postgres_log import PREFIX, compact, in_csv, in_json, in_text

pytestmark = pytest.mark.requirement("ATTRIBUTE-12")

MESSAGE = (("http_x_message_id", "m1@example.com"),)


def read(kind: LogKind, text: str, prefix: str = "") -> list[LogLine]:
    found = LogFiles(kind, prefix=prefix, zone="+00:00").read(io.BytesIO(text.encode()))
    return [one for one in found if isinstance(one, LogLine)]


def contents(kind: LogKind, text: str, prefix: str = "") -> list[tuple[Said, ...]]:
    return [one.content for one in read(kind, text, prefix)]


def audited(sql: str, *rows: str) -> str:
    return ",".join(["AUDIT: SESSION", "1", "1", "READ", "SELECT", "", "", f'"{sql}"', "<none>", *rows])


def test_postgres_says_statements_in_each_form_and_rows_by_its_audit_module() -> None:
    sql = "SELECT 'a\nb'"
    said = (Said("statement", (sql,)),)
    for made in (in_json, in_csv):
        for how in ("statement", "execute __asyncpg_stmt_4__", "execute s/__asyncpg_portal_5__"):
            assert contents("postgres", made("ans_x", "", f"{how}: {sql}")) == [said], how
        assert contents("postgres", made("ans_x", "", "duration: 1 ms  statement: SELECT 1")) == [()]
        assert contents("postgres", made("ans_x", "", audited("SELECT 1"))) == [
            (Said("statement", ("SELECT 1",)),)
        ]
        assert contents("postgres", made("ans_x", "", audited("SELECT 1", "7"))) == [
            (Said("statement", ("SELECT 1",)), Said("rows", ("7",)))
        ]
    # On standard error the rest stands in the next lines, which are not read.
    assert contents("postgres", in_text("ans_x", "", f"LOG:  statement: {sql}"), PREFIX)[0] == (
        Said("statement", ("SELECT 'a",), "begin"),
    )
    assert contents("postgres", compact(in_json("ans_x", "", "statement: " + "x" * 99_999))) == [
        (Said("statement", (), "cut"),)
    ]


@pytest.mark.parametrize("quote", ["'", "\\'"])
def test_mariadb_says_statements_also_as_the_broker_sends_them(quote: str) -> None:
    def row(text: str, operation: str = "QUERY") -> str:
        return f"20261201 18:35:48,db1,ans_x,127.0.0.1,7,9,{operation},shop,'{text}',0\n"

    sent = "SELECT 'ä'"
    octets = f"EXECUTE IMMEDIATE CONVERT(X{quote}{sent.encode().hex()}"
    assert contents("mariadb", row(f"{octets}{quote} USING utf8mb4)")) == [(Said("statement", (sent,)),)]
    assert contents("mariadb", row(f"{octets}{quote} USING utf8mb4) USING 7")) == [
        (Said("statement", (sent,)),)
    ]
    cut = octets[:-3]
    assert contents("mariadb", row(cut)) == [(Said("statement", ("SELECT '",), "begin"),)]
    assert contents("mariadb", row("COMMIT")) == [(Said("statement", ("COMMIT",)),)]
    assert contents("mariadb", row("", "CONNECT")) == [()]


def test_servers_of_http_and_of_objects_say_what_was_asked_for() -> None:
    asked = request(method="GET", uri="/cases/a%20b?q=1")
    said = (Said("method", ("GET",)), Said("path", ("/cases/a b",)))
    assert contents("nginx", asked + "\n" + request() + "\n") == [said, ()]
    web = event(4002, {}, http_request={"uid": "1", "http_method": "GET", "url": {"path": "/cases/a%20b"}})
    assert contents("ocsf", json.dumps(web)) == [said]
    named = record(caller("ans_x"), requestParameters={"bucketName": "cases", "key": "42/a"})
    assert contents("cloudtrail", json.dumps(named)) == [(Said("bucket", ("cases",)), Said("key", ("42/a",)))]


def test_a_mail_server_says_to_how_many_and_to_whom() -> None:
    email = {"message_uid": "<m1@example.com>", "to": ["Ada <ada@example.com>"], "cc": ["bo@example.com"]}
    names = ("ada@example.com", "bo@example.com")
    (line,) = read("ocsf", json.dumps(event(4009, {"user": {"name": "ans_x"}}, email=email)))
    assert (line.account, line.keys, line.content) == ("", MESSAGE, (Said("recipients", names, "some"),))
    envelope = {**email, "smtp_to": ["eve@example.com"]}
    assert contents("ocsf", json.dumps(event(4009, {}, email=envelope))) == [
        (Said("recipients", ("eve@example.com",)),)
    ]


def test_postfix_says_each_message_by_its_id() -> None:
    def said(program: str, message: str, **more: object) -> str:
        known = {"SYSLOG_IDENTIFIER": program, "_UID": "104", "_SYSTEMD_UNIT": "postfix@-.service"}
        return entry(message, **{**known, **more}) + "\n"

    text = said("postfix/cleanup", "4B2XyZ1234: message-id=<m1@example.com>")
    text += said("postfix/qmgr", "4B2XyZ1234: from=<bot@example.com>, size=900, nrcpt=2 (queue active)")
    text += said(
        "postfix/smtp", "4B2XyZ1234: to=<ada@x.example>, orig_to=<ada@example.com>, relay=x[1.2.3.4]:25"
    )
    text += said("postfix/smtp", "4B2XyZ1234: to=<eve@example.com>, relay=x[1.2.3.4]:25, status=sent (ok)")
    text += said("postfix/qmgr", "4B2XyZ1234: removed")
    text += said("postfix/qmgr", "4B2XyZ1234: removed")
    text += said("postfix/smtpd", "connect from unknown[10.0.0.1]")
    # Whoever logs under this name without being of its service is passed over.
    text += said("postfix/qmgr", "4B2XyZ1234: removed", _SYSTEMD_UNIT="session-1.scope")
    found = read("journald", text)
    assert [one.keys for one in found] == [MESSAGE] * 5 + [()] * 2
    assert [one.content for one in found[1:4]] == [
        (Said("recipients", ("2",), "count"),),
        (Said("recipients", ("ada@example.com",), "some"),),
        (Said("recipients", ("eve@example.com",), "some"),),
    ]


def test_redis_says_which_key_it_refused() -> None:
    refused = {
        "count": 1, "reason": "key", "object": "case:8", "username": "ans_x",
        "client-info": "id=7 addr=127.0.0.1:1 user=ans_x ", "timestamp-last-updated": 1,
    }  # fmt: skip
    assert contents("redis", json.dumps(refused)) == [(Said("key", ("case:8",), "some"),)]
    assert contents("redis", json.dumps({**refused, "reason": "command", "object": "set"})) == [()]


def test_the_end_of_a_transaction_in_an_audit_says_nothing_of_the_statements_before_it() -> None:
    for made in (in_json, in_csv):
        ends = made("ans_x", "", "AUDIT: SESSION,4,1,MISC,COMMIT,,,COMMIT,<not logged>")
        assert contents("postgres", ends) == [()]
