"""Past decisions, asked again on the command line: with the server, and by a stranger with a file."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from answerable.errors import Refused
from tests.system.test_cli import Command, command, running, world
from tests.worlds.control import Running, World, asked

__all__ = ["command", "running", "world"]

pytestmark = [pytest.mark.requirement("ANSWER-01"), pytest.mark.requirement("ANSWER-05")]


@pytest.fixture
def mandate(world: World, running: Running, command: Command) -> str:
    command("apply", "-f", str(world.registry))
    issue = ("mandate", "issue", "one-case", "--as", "ada", "--set", "case=4711", "--yes", "--key")
    return command(*issue, str(world.key("ada"))).stdout.strip()


def test_a_decision_is_derived_again_with_the_server_and_by_a_stranger_from_a_bundle(
    world: World, running: Running, command: Command, mandate: str
) -> None:
    answer = running.call(asked, "case_read", "4711", mandate)
    (found,) = json.loads(command("decision", "replay", answer.action_id, "--json").stdout)["decisions"]
    assert (found["verdict"], found["unchecked"]) == ("same", [])
    index = str(found["index"])
    assert "same" in command("decision", "replay", index).stdout
    bundle, bare = world.root / "again.zip", world.root / "bare.zip"
    command("evidence", "export", "--action", answer.action_id, "--replay", "-o", str(bundle))
    command("evidence", "export", "--action", answer.action_id, "-o", str(bare))
    again = json.loads(command("decision", "replay", "--bundle", str(bundle), "--json").stdout)
    assert again["decisions"][0]["derived"] == found["derived"]
    hidden = json.loads(command("decision", "replay", "--bundle", str(bare), "--json").stdout)
    assert hidden["decisions"][0]["verdict"] == "not_disclosed"
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    assert (
        "the evidence bundle is invalid"
        in command("decision", "replay", "--bundle", str(bundle), code=1).stderr
    )
    command("decision", "replay", code=2)


def test_all_decisions_are_asked_again_and_a_deferral_is_explained(
    world: World, running: Running, command: Command, mandate: str
) -> None:
    running.call(asked, "case_read", "4711", mandate)
    waiting = running.call(asked, "case_delete", "4711", mandate).approval.id
    with suppress(Refused):
        running.call(asked, "case_read", "4712", mandate)
    counts = json.loads(command("decision", "replay", "--all", "--json").stdout)["counts"]
    assert counts == {"same": 3}
    explained = json.loads(command("why", waiting, "--json").stdout)["explained"]
    assert explained[0]["effect"] == "defer"
    assert "had approved it" in explained[0]["changes"][0]
    deferral = command("why", waiting).stdout
    assert "it would have been allowed once" in deferral
    assert f"what became of it: answerable approval show {waiting}\n" in deferral
    story = json.loads(command("timeline", mandate, "--json").stdout)["lines"]
    refusal = next(line["index"] for line in story if line["kind"] == "refusal")
    told = command("why", str(refusal)).stdout
    assert "denied" in told
    assert "on case `4711`" in told
    command("why", "nothing", code=1)


@pytest.mark.requirement("ANSWER-06")
@pytest.mark.requirement("ANSWER-07")
def test_what_an_agent_could_do_and_who_can_is_told_from_the_ledger(
    world: World, running: Running, command: Command, mandate: str
) -> None:
    found = json.loads(command("can", "--who", "case_read", "4711", "--json", code=1).stdout or "{}")
    assert found == {}, "an action goes by the name of its capability"
    actions = [
        one["name"]
        for one in json.loads(command("registry", "list", "--json").stdout)
        if one["kind"] == "Capability"
    ]
    told = {name: json.loads(command("can", "--who", name, "4711", "--json").stdout) for name in actions}
    able = [one for answer in told.values() for one in answer["agents"] if one["effect"] != "deny"]
    assert able
    assert all(one["mandates"] == [mandate] for one in able)
    agent = able[0]["agent"]
    early = command("could", agent, actions[0], "--at", "2020-01-01T00:00:00Z", code=1).stderr
    assert "does not contain the whole registry" in early
    later = json.loads(command("could", agent, actions[0], "--at", "2199-01-01T00:00:00Z", "--json").stdout)
    assert later["agents"][0]["effect"] == "deny", "by then the mandate has ended"
    assert "agents cannot" in command("can", "--who", actions[0]).stdout
    assert command("can", actions[0]).stdout == command("can", "--who", actions[0]).stdout
    assert json.loads(command("could", agent, actions[0], "--json").stdout)["agents"][0]["effect"] != "deny"


@pytest.mark.requirement("SAME-10")
@pytest.mark.requirement("SAME-11")
def test_what_agent_and_person_are_registered_for_is_told_as_the_gateway_has_it(
    world: World, running: Running, command: Command, mandate: str
) -> None:
    document = world.registry / "registry.yaml"
    whole = document.read_text()
    narrowed = {
        "mandate.beyond_giver": ("displayName: Ada,", "displayName: Ada, capabilities: [crm.delete],"),
        "capability.ceiling": ("  unixUids: [0]\n", "  unixUids: [0]\n  capabilities: [crm.delete]\n"),
    }
    for code, change in narrowed.items():
        document.write_text(whole.replace(*change))
        command("apply", "-f", str(world.registry))
        with pytest.raises(Refused) as refused:
            running.call(asked, "case_read", "4711", mandate)
        assert refused.value.code == code
        for line in (("could", "support-agent", "crm.read", "4711"), ("can", "crm.read")):
            (told,) = json.loads(command(*line, "--json").stdout)["agents"]
            assert (told["effect"], told["by"]) == ("deny", [code])
            assert code in command(*line[:3]).stdout or line[0] == "can"


@pytest.mark.requirement("SAME-22")
def test_without_a_server_what_it_offers_is_not_known_and_that_is_no_refusal(
    world: World, command: Command
) -> None:
    command("apply", "-f", str(world.registry))
    issue = ("mandate", "issue", "one-case", "--as", "ada", "--set", "case=4711", "--yes", "--key")
    mandate = command(*issue, str(world.key("ada"))).stdout.strip()
    for line in (("could", "support-agent", "crm.read", "4711"), ("can", "crm.read")):
        (told,) = json.loads(command(*line, "--json", code=6).stdout)["agents"]
        assert (told["effect"], told["mandates"]) == ("depends", [mandate])
        assert "no server runs" in command(*line, code=6).stdout
    command("mandate", "close", mandate, "--yes")
    # A no that does not depend on what a server offers is one without a server, too.
    (told,) = json.loads(command("could", "support-agent", "crm.read", "--json").stdout)["agents"]
    assert (told["effect"], told["by"]) == ("deny", ["mandate.closed"])


@pytest.mark.requirement("SAME-14")
def test_a_held_mandate_is_held_in_its_tree_and_in_the_list_of_mandates(
    world: World, running: Running, command: Command, mandate: str
) -> None:
    assert f"mandate {mandate} · open until" in command("mandate", "tree", mandate).stdout
    command("stop", mandate, "--no-wait")
    hold = json.loads(command("hold", "list", "--json").stdout)[0]["id"]
    told = command("mandate", "tree", mandate).stdout
    assert f"mandate {mandate} · held (mandate `{mandate}`, hold {hold})" in told
    assert "open until" not in told
    (listed,) = json.loads(command("mandate", "list", "--json").stdout)
    assert listed["state"] == "held"
    assert json.loads(command("mandate", "list", "--state", "open", "--json").stdout) == []


@pytest.mark.requirement("SAME-19")
def test_mandates_are_counted_as_open_by_what_their_list_says(
    world: World, running: Running, command: Command, mandate: str
) -> None:
    def counted() -> tuple[int, int]:
        listed = json.loads(command("mandate", "list", "--state", "open", "--json").stdout)
        return json.loads(command("status", "--json").stdout)["mandates_open"], len(listed)

    assert counted() == (1, 1)
    command("stop", mandate, "--no-wait")
    assert counted() == (0, 0)
    command("revoke", "agent", "support-agent", "--yes")
    assert counted() == (0, 0)


@pytest.mark.requirement("SAME-20")
def test_an_agent_that_is_held_or_revoked_is_shown_and_listed_so(
    world: World, running: Running, command: Command, mandate: str
) -> None:
    def shown() -> set[str]:
        (listed,) = json.loads(command("agent", "list", "--json").stdout)
        return {
            json.loads(command("agent", "show", "support-agent", "--json").stdout)["standing"],
            listed["standing"],
        }

    assert shown() == {"active"}
    command("stop", "production", "--kind", "environment", "--no-wait")
    assert shown() == {"stopped"}
    command("revoke", "agent", "support-agent", "--yes")
    assert shown() == {"revoked"}
    assert "revoked" in command("agent", "show", "support-agent").stdout
    assert "revoked" in command("agent", "list").stdout
