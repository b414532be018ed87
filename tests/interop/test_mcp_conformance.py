"""The MCP conformance suite, which others wrote, on authorization: our client and our service in its scenarios."""

from __future__ import annotations

import re

import pytest
from anyio import to_thread

from tests.interop.mcp_conformance import (
    BASELINE,
    TABLE,
    Scenario,
    baseline,
    judged_client,
    judged_server,
    listed,
    revisions,
    table,
)
from tests.worlds.up import house

pytestmark = pytest.mark.anyio

RUN = ("pass", "fail")
CLIENT = [one for one in table().values() if one.role == "client" and one.outcome in RUN]
SERVER = [one for one in table().values() if one.role == "authorization" and one.outcome in RUN]
PREFIX = "auth/"
FAILING_MAX = 19
LOGIN_MEMBERS = ["authorization_endpoint", "response_types_supported", "code_challenge_methods_supported"]


@pytest.mark.requirement("CONF-01")
def test_every_scenario_about_authorization_is_in_the_table_and_no_other():
    found = listed()
    expected = {name for name in found["client"] if name.startswith(PREFIX)} | found["authorization"].keys()
    assert table().keys() == expected
    # None of the scenarios for servers is about authorization; one that comes would be missing here.
    assert not [name for name in found["server"] if {"auth", "oauth", "token", "dpop"} & set(name.split("-"))]


@pytest.mark.requirement("CONF-01")
def test_whatever_does_not_pass_says_why_and_whatever_fails_says_where():
    for scenario in table().values():
        assert scenario.outcome in (*RUN, "not_applicable"), scenario
        assert bool(scenario.reason) == (scenario.outcome != "pass"), scenario
        assert bool(scenario.failing) == (scenario.outcome == "fail"), scenario


@pytest.mark.requirement("CONF-13")
def test_no_check_fails_that_did_not_before_and_what_was_mended_left_the_list():
    before = baseline()
    failing = {(one.name, check) for one in table().values() for check in one.failing}
    assert len(set(before)) == len(before)
    assert not failing - set(before), "a failure is never added: mend it"
    assert not set(before) - failing, f"what is mended leaves {BASELINE.name}, too"
    assert len(before) <= FAILING_MAX, f"{BASELINE.name} only shrinks"


@pytest.mark.requirement("CONF-02")
@pytest.mark.parametrize("scenario", CLIENT, ids=lambda one: one.name)
def test_our_client_does_in_each_scenario_what_the_table_says(scenario, tmp_path):
    for revision in revisions(scenario):
        folder = tmp_path / (revision or "extension")
        folder.mkdir()
        check(scenario, judged_client(scenario.name, revision, folder))


@pytest.mark.requirement("CONF-10")
@pytest.mark.parametrize("scenario", SERVER, ids=lambda one: one.name)
async def test_the_token_service_of_answerable_up_does_what_the_table_says(scenario, tmp_path):
    async with house(tmp_path) as made:
        await made.start()
        folder = tmp_path / "suite"
        folder.mkdir()
        verdict = await to_thread.run_sync(judged_server, scenario.name, made.tcp, folder)
    check(scenario, verdict)
    # The one check is of many members: those of a login are all that it misses.
    missing = re.findall(r'valid "(\w+)" claim', verdict.bad["authorization-server-metadata"])
    assert missing == LOGIN_MEMBERS
    assert verdict.bad["authorization-server-metadata"].count(",") == len(LOGIN_MEMBERS) - 1


def check(scenario: Scenario, verdict) -> None:
    """Exactly what the table says: neither worse, nor better without the table saying so."""
    worse, better = verdict.bad.keys() - set(scenario.failing), set(scenario.failing) - verdict.bad.keys()
    assert not worse, f"{scenario.name}: {sorted(worse)} do not hold\n{verdict.output}"
    assert not better, f"{scenario.name}: {sorted(better)} hold now: take them out of {TABLE.name}"
    assert verdict.good or verdict.bad, f"{scenario.name}: nothing was checked\n{verdict.output}"
    assert (verdict.status == 0) == (verdict.bad.keys() <= verdict.warned), verdict.output
    assert (not verdict.bad) == (scenario.outcome == "pass"), verdict.output
    assert verdict.told == scenario.told, verdict.output
