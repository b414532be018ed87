"""Where the console may be: names that browsers make passkeys for, and never in the clear for another machine."""

from __future__ import annotations

from typing import Any

import pytest

from answerable.wiring.console_settings import ConsoleSettings, console_faults, name_of_origin


def faults(**settings: Any) -> list[str]:
    return [key for key, _ in console_faults(ConsoleSettings(**settings))]


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "http://localhost:8768",
        "https://localhost",
        "https://answerable.example",
        "https://a.example:8443",
    ],
)
def test_origins_that_browsers_make_passkeys_for_are_taken(origin):
    assert faults(origin=origin) == []


@pytest.mark.parametrize(
    "origin",
    [
        "localhost", "http://127.0.0.1:8768", "http://answerable.example", "https://192.0.2.1", "https://[::1]",
        "https://A.example", "https://a.example/", "https://a.example:443", "http://localhost:80",
        "https://user@a.example", "https://a.example?x", "https://a.example#x", "https://a..example",
        "https://", "ftp://localhost", "https://a.example:0", "https://a.example:99999", "https://-a.example",
    ],
)  # fmt: skip
def test_other_origins_are_faults(origin):
    assert faults(origin=origin) == ["console.origin"]


def test_another_machine_reaches_it_by_tls_alone():
    pem = {"tls_certificate": "file:a", "tls_key": "file:b"}
    assert faults(host="0.0.0.0") == ["console.host"]  # noqa: S104
    assert faults(host="0.0.0.0", **pem) == []  # noqa: S104
    assert faults(host="::1") == []
    assert faults(tls_key="file:b") == ["console.tls_certificate"]
    assert faults(origin="http://localhost:8768", **pem) == ["console.origin"]


def test_an_unused_session_does_not_outlast_all_sessions():
    assert faults(session_idle_seconds=900, session_seconds=600) == ["console.session_idle_seconds"]


def test_passkeys_are_bound_to_the_name_without_its_port():
    assert name_of_origin("https://a.example:8443") == "a.example"
