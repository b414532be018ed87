"""Policies that are not what their authors mean: one that protects nothing comes into force by no door."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from answerable.adapters.cedar.set_checks import check_sets
from answerable.errors import Malformed
from answerable.flows.registry.apply_registry import apply_registry
from answerable.testing.builders import POLICIES, bench_documents
from answerable.wiring.policy_directory import check_set
from tests.system.test_cli import Command, command, world
from tests.worlds.parts import to_apply
from tests.worlds.publication import guarded, propose, publish

if TYPE_CHECKING:
    from pathlib import Path

    from answerable.testing.builders import Bench
    from tests.worlds.control import World

__all__ = ["command", "world"]

VOID = {
    "a misspelt agent": '@id("void") forbid (principal == Agent::"scuot", action, resource);',
    "a misspelt agent among others": (
        '@id("void") forbid (principal, action, resource) when { context.chain.agents.contains("scuot") };'
    ),
    "never": (
        '@id("void") forbid (principal, action == Action::"crm.read", resource) when '
        "{ context.capability.tier > 1 && context.capability.tier < 1 };"
    ),
    "nobody to ask": '@id("void") @reason("ask") @approve("approvrs:1") forbid (principal, action, resource);',
}


async def looked_at() -> Bench:
    bench = await guarded()
    bench.walk.policies.check = check_sets
    return bench


@pytest.mark.anyio
@pytest.mark.requirement("SAME-12")
@pytest.mark.parametrize("what", VOID)
async def test_a_forbid_that_protects_nothing_is_neither_applied_nor_proposed_nor_published(
    what: str, tmp_path: Path
) -> None:
    bench = await looked_at()
    policies = f"{POLICIES}\n{VOID[what]}\n"
    before = bench.authority.registry.current.digest
    bench.walk.policies.publishers, publishers = "", bench.walk.policies.publishers
    for dry_run in (True, False):
        with pytest.raises(Malformed, match="void") as refused:
            await apply_registry(
                *to_apply(bench.walk), bench_documents(policies), by="operator", dry_run=dry_run
            )
        assert refused.value.code == "policy.protects_nothing"
    bench.walk.policies.publishers = publishers
    with pytest.raises(Malformed) as refused:
        await propose(bench, policies)
    assert refused.value.code == "policy.protects_nothing"
    # What was proposed before anybody looked is not published either.
    bench.walk.policies.check = None
    proposal = await propose(bench, policies)
    bench.walk.policies.check = check_sets
    with pytest.raises(Malformed) as refused:
        await publish(bench, proposal)
    assert refused.value.code == "policy.protects_nothing"
    assert bench.authority.registry.current.digest == before
    # One check: in a directory the same rule is refused for the same reason.
    (tmp_path / "set.yaml").write_text(
        "name: house\ngroups:\n  - {name: approvers, membersMin: 1}\n  - {name: approvrs, membersMin: 1}\n"
    )
    (tmp_path / "rules.cedar").write_text(policies)
    registry = [one for one in bench_documents(policies) if "PolicySet" not in str(one)]
    told = {fault.code for fault in check_set(tmp_path, registry).faults if "`void`" in fault.message}
    assert told & {one.fault.code for one in check_sets(bench_documents(policies), _snapshot(policies))}


def _snapshot(policies: str):
    from answerable.core.registry.parsing.active import snapshot_of

    return snapshot_of(bench_documents(policies))


@pytest.mark.requirement("SAME-12")
@pytest.mark.requirement("SAME-13")
def test_apply_says_what_a_policy_means_no_more_once_what_it_names_has_gone(
    world: World, command: Command
) -> None:
    file = world.registry / "registry.yaml"
    whole = file.read_text()
    rule = 'forbid(principal == Agent::"support-agent", action in Action::"delete", resource);'
    guard = f'{whole.rstrip()}\n\n    @id("kept-out")\n    {rule}\n'
    misspelt = guard.replace('Agent::"support-agent"', 'Agent::"suport-agent"')
    file.write_text(misspelt)
    refused = command("apply", "-f", str(world.registry), code=1).stderr
    assert "kept-out" in refused
    assert "support-agent" in refused, "what was meant"
    assert json.loads(command("registry", "list", "--json").stdout) == []
    file.write_text(guard)
    assert "kept-out" not in command("apply", "-f", str(world.registry)).stderr
    # Nobody touched the set: it is told, and what goes goes.
    gone = guard.replace("name: support-agent}", "name: other-agent}").replace(
        "agent: support-agent", "agent: other-agent"
    )
    file.write_text(gone)
    told = command("apply", "-f", str(world.registry), "--prune", "--yes")
    assert "kept-out" in told.stderr
    assert "names agent `support-agent`, which is not registered" in told.stderr
