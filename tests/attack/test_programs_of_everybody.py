"""Sets of selectors that name a program and no user: refused where they are new, worth nothing where they are old."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from answerable.core.identity.workload.sidecars import sidecars_in
from answerable.core.registry.parsing.active import faults_of, faults_of_new, findings, stored_form
from answerable.errors import Malformed, Refused
from answerable.flows.registry.apply_registry import apply_registry
from answerable.flows.workloads.enrol_workload import enrol
from tests.worlds.enrolment import PATH, UID, attested_documents, enrolling, evidence_of
from tests.worlds.parts import to_apply
from tests.worlds.up import house, registry

SHA256 = f"unix:sha256:{'e' * 64}"
SETS = [[PATH], [SHA256], [PATH, SHA256], [PATH, "unix:gid:1000"], [PATH, "unix:cgroup:/agents"]]
TOLD = "this names a program that any user may start: add the user that it runs as, `unix:uid:N`"
OURS = f"unix:path:{os.path.realpath(sys.executable)}"

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("BOUNDARY-03")]


@pytest.mark.parametrize("chosen", SETS)
async def test_a_new_one_is_refused(chosen):
    documents = attested_documents({"scout": [[UID], chosen]})
    (fault,) = faults_of_new(documents)
    assert (fault.code, fault.path, fault.message) == ("attestation.every_user", "/spec/attestation/1", TOLD)
    bench, _ = await enrolling(attested_documents())
    with pytest.raises(Malformed, match="add the user"):
        await apply_registry(*to_apply(bench.walk), documents, by="operator")
    assert faults_of_new(attested_documents({"scout": [[UID], [*chosen, UID]]})) == ()


@pytest.mark.parametrize("chosen", SETS)
async def test_one_that_is_registered_makes_nobody_anything_and_is_named(chosen):
    documents = attested_documents({"scout": [chosen]})
    bench, workloads = await enrolling(attested_documents())
    # As a release that let it in has left it.
    bench.authority.registry.put(stored_form(documents))
    with pytest.raises(Refused) as refused:
        await enrol(workloads, evidence=evidence_of(*chosen, UID), key=None, process="boot:1:1")
    assert refused.value.code == "attestation.unknown"
    found = [
        (one.name, one.message)
        for one in findings(documents, today="2026-01-01")
        if "attestation" in one.code
    ]
    assert found == [("scout", f"is not identified by set 0 of its attestation: {TOLD}")]
    # It keeps nothing else from being applied, such as what ends somebody's authority.
    assert faults_of(documents) == ()
    other = next(one for one in documents if one["metadata"]["name"] == "rover")
    changed = {**other, "spec": {**other["spec"], "status": "suspended"}}
    await apply_registry(*to_apply(bench.walk), [changed], by="operator")


@pytest.mark.parametrize("text", [" ".join(chosen) for chosen in SETS])
async def test_no_sidecar_is_believed_by_its_program_alone(text):
    with pytest.raises(Malformed, match="any user may start"):
        sidecars_in([text])
    assert sidecars_in([f"{text} {UID}"]).sets


async def test_the_command_line_refuses_it_wherever_documents_are_read(tmp_path):
    async with house(tmp_path) as home:
        await home.start()
        file = tmp_path / "bad.yaml"
        file.write_text(registry(scout=[[OURS]]))
        policies = tmp_path / "policies"
        policies.mkdir()
        for arguments, code in (
            (("apply", "-f", str(file)), 1),
            (("apply", "-f", str(file), "--dry-run"), 1),
            (("diff", "-f", str(file)), 1),
            (("validate", "-f", str(file)), 5),
        ):
            done = home.finished(*arguments)
            assert done.returncode == code, (arguments, done)
            assert TOLD in done.stdout + done.stderr, arguments
        checked = home.finished("policy", "check", str(policies), "--registry", str(file))
        assert checked.returncode != 0
        assert TOLD in checked.stderr
        assert json.loads(home.command("agent", "list", "--json")) == []
        await home.stop(signal.SIGTERM)
