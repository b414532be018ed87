"""One question: which actions ran under which prompt and model; and nobody's claim is answered as a measurement."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest
from msgspec import structs

from answerable.adapters.tlog_files import TlogFilesLedger
from answerable.api.ledger_answers import ActionUnder
from answerable.apps.control_api.application import control_app
from answerable.core.canonical import encode, parse
from answerable.core.incident.under_manifest import wanted_manifest
from answerable.core.ledger.tags import Tag
from answerable.core.search.query import parsed_cursor
from answerable.errors import Broken, Malformed, Refused
from answerable.flows.forensics.find_under import FoundActions, find_under
from answerable.flows.workloads.enrol_workload import renew
from answerable.testing.builders import Bench, ledger_key
from answerable.testing.clock import ManualClock
from answerable.testing.samples import signing_key
from answerable.verify.leaf_rules import read_leaf
from answerable.verify.leaf_shapes import ManifestLeaf
from answerable.wiring.ledger_copy import copied_entries
from tests.attack.test_drift_laundering import CRUEL, MADE, OTHER, WHOLE, acted, enrolled, manifest, seen
from tests.probes.typed_lines import typed
from tests.unit.apps.control_api.test_control_api import client_of
from tests.worlds.asked_index import IndexAtHand
from tests.worlds.control import memory_product
from tests.worlds.enrolment import attested_documents, workloads_over
from tests.worlds.stories import teller_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from answerable.core.ledger.entry import StoredEntry

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("MANIFEST-19")]

NEWER = replace(MADE, model_version="20260301")
RETOLD = replace(MADE, prompt_digest=OTHER)


async def story(ledger: TlogFilesLedger | None = None) -> tuple[Bench, list[str]]:
    """Three manifests; an action of a measured instance under each, of nobody known under the first, and one of an
    instance whose prompt was changed. Digests in order."""
    bench = await Bench(ledger=ledger).registered(attested_documents(drift="mark"))
    workloads = workloads_over(bench.walk)
    await bench.issue(calls_max=50)
    digests = [await manifest(bench)]
    one = await enrolled(workloads, WHOLE)
    sub = await enrolled(workloads, None, "s-1", one.id)
    await acted(bench, seen(workloads, "i-1"))
    registered = structs.replace(
        seen(workloads, "i-1"),
        instance="",
        source="registered_key",
        grade="claimed",
        manifest_fields=(),
        key="",
    )
    await acted(bench, registered)
    await renew(workloads, one.id, measured=CRUEL)
    await acted(bench, seen(workloads, "i-1"))
    await acted(bench, seen(workloads, "s-1"))
    assert sub.drift == ()
    for at, made in enumerate((NEWER, RETOLD), start=1):
        digests.append(await manifest(bench, made, at=at))
        again = await enrolled(workloads, WHOLE if made is NEWER else CRUEL, f"i-{at + 1}")
        assert again.manifest == digests[-1]
        await acted(bench, seen(workloads, f"i-{at + 1}"))
    return bench, digests


def found(
    bench: Bench, entries: list[StoredEntry] | None = None, with_keys: bool = True, **asked: str
) -> FoundActions:
    with teller_of(bench.recorder, entries=entries, with_keys=with_keys) as teller:
        return find_under(teller, wanted_manifest(**asked), limit=1_000)


def standings(one: Any) -> dict[str, tuple[str, str]]:
    return {field.field: (field.standing, field.grade) for field in one.made_of}


async def test_a_prompt_and_a_model_lead_to_every_manifest_that_ever_had_them() -> None:
    bench, (first, newer, retold) = await story()
    assert found(bench, model="claude-sonnet-4-5").manifests == (first, newer, retold)
    assert found(bench, model="claude-sonnet-4-5@20260301").manifests == (newer,)
    assert found(bench, prompt=MADE.prompt_digest).manifests == (first, newer)
    assert found(bench, prompt=OTHER.removeprefix("sha256:")).manifests == (retold,)
    both = found(bench, prompt=MADE.prompt_digest, model="claude-sonnet-4-5@20250929")
    assert both.manifests == (first,)
    assert len(both.actions) == 4
    assert {one.manifest for one in both.actions} == {first}
    assert [one.outcome for one in both.actions] == ["succeeded"] * 4
    assert len(found(bench, manifest=retold).actions) == 1
    assert len(found(bench, model="claude-sonnet-4-5").actions) == 6


async def test_pages_together_are_the_whole_answer_oldest_first() -> None:
    bench, _ = await story()
    whole = found(bench, model="claude-sonnet-4-5").actions
    paged: list[ActionUnder] = []
    with teller_of(bench.recorder) as teller:
        wanted, after, pages = wanted_manifest(model="claude-sonnet-4-5"), None, 0
        while pages == 0 or after is not None:
            page = find_under(teller, wanted, limit=2, after=after)
            paged += page.actions
            pages += 1
            after = parsed_cursor(page.next) if page.next else None
    assert (tuple(paged), pages) == (whole, 3)
    assert [one.index for one in whole] == sorted(one.index for one in whole)


async def test_each_field_is_told_as_well_as_it_was_known_then_and_no_better() -> None:
    bench, (first, *_) = await story()
    measured, registered, changed, sub = found(bench, manifest=first).actions
    told = standings(measured)
    assert told["prompt_digest"] == ("measured", "sidecar")
    assert told["tools_digest"] == ("measured", "gateway")
    for name in ("model_name", "model_version", "framework_name"):
        assert told[name] == ("claimed", "claimed")
    assert {name for name, (standing, _) in standings(registered).items() if standing == "measured"} == {
        "tools_digest"
    }
    # What ran in these was another prompt, and they are no evidence of this one.
    for one in (changed, sub):
        assert one.drifted
        assert standings(one)["prompt_digest"] == ("differs", "claimed")
        assert standings(one)["code_digest"] == ("measured", "sidecar")
    assert not {"environment", "tier"} & told.keys()


async def test_actions_under_a_manifest_that_another_log_registered_are_found_by_its_digest_alone() -> None:
    bench, (_, newer, _) = await story()
    entries = [one for one in bench.recorder.ledger.replay() if one.tag != Tag.MANIFEST_REGISTERED]
    told = found(bench, entries, manifest=newer)
    assert (told.manifests, [one.manifest for one in told.actions]) == ((), [newer])
    with pytest.raises(Refused, match="no manifest in the ledger"):
        found(bench, entries, model=NEWER.model_name)


async def test_an_entry_from_before_fields_were_told_is_not_told_as_measured() -> None:
    bench, (first, *_) = await story()
    entries: list[StoredEntry] = []
    for stored in bench.recorder.ledger.replay():
        leaf = parse(stored.leaf)
        assert isinstance(leaf, dict)
        if stored.tag == Tag.INTENT:
            leaf = {name: value for name, value in leaf.items() if name != "manifest_fields"} | {
                "manifest_grade": "sidecar"
            }
        if stored.tag == Tag.MANIFEST_REGISTERED:
            leaf = {name: value for name, value in leaf.items() if name != "form"}
        entries.append(structs.replace(stored, leaf=encode(leaf)))
    (one, *_) = found(bench, entries, manifest=first).actions
    assert {standing for standing, _ in standings(one).values()} == {"unwritten"}
    # Without a key for the token there is no telling what the manifest says.
    blind = found(bench, entries, with_keys=False, manifest=first)
    assert [one.made_of for one in blind.actions] == [()] * 4
    with pytest.raises(Refused) as told:
        found(bench, entries, with_keys=False, prompt=MADE.prompt_digest)
    assert told.value.code == "timeline.manifest_unknown"
    assert "3 other manifests" in told.value.message


async def test_a_form_that_is_not_the_one_of_its_digest_is_not_believed() -> None:
    """Somebody who writes leaves puts another prompt beside the digest of a manifest."""
    bench, (first, *_) = await story()
    entries: list[StoredEntry] = []
    for stored in bench.recorder.ledger.replay():
        leaf = parse(stored.leaf)
        assert isinstance(leaf, dict)
        if stored.tag == Tag.MANIFEST_REGISTERED and leaf["manifest"] == first:
            form: Any = leaf["form"]
            leaf = {**leaf, "form": {**form, "prompt_digest": f"sha256:{'e' * 64}"}}
        entries.append(structs.replace(stored, leaf=encode(leaf)))
    with pytest.raises(Refused):
        found(bench, entries, prompt=f"sha256:{'e' * 64}")
    assert found(bench, entries, manifest=first).actions[0].made_of == ()


async def test_the_form_in_the_leaf_is_read_by_the_verifier_and_names_nobody() -> None:
    bench, _ = await story()
    stored = next(one for one in bench.recorder.ledger.replay() if one.tag == Tag.MANIFEST_REGISTERED)
    leaf = read_leaf(stored.leaf)
    assert isinstance(leaf, ManifestLeaf)
    assert b"alice" not in stored.leaf


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"manifest": "a" * 63}, "timeline.manifest"),
        ({"manifest": f"sha256:{'a' * 64}"}, "timeline.manifest"),
        ({"manifest": "A" * 64}, "timeline.manifest"),
        ({"prompt": "sha256:xyz"}, "timeline.prompt"),
        ({"prompt": "be kind"}, "timeline.prompt"),
        ({"model": "@20250929"}, "timeline.model"),
        ({"model": "m@"}, "timeline.model"),
        ({"model": "m" * 129}, "timeline.model"),
        ({"model": "m\n"}, "timeline.model"),
        ({}, "timeline.nothing"),
    ],
)
def test_what_names_nothing_is_an_error_that_says_what_would(asked: dict[str, str], code: str) -> None:
    with pytest.raises(Malformed) as told:
        wanted_manifest(**asked)
    assert told.value.code == code


async def test_one_command_answers_with_a_server_and_on_a_copy_without_any_key(tmp_path: Path) -> None:
    async with TlogFilesLedger.open(
        tmp_path / "ledger", key=ledger_key(), sign=signing_key("ledger").sign, clock=ManualClock()
    ) as ledger:
        bench, (first, *_) = await story(ledger)
        ledger.seal()
        product = replace(memory_product(), walk=bench.walk, searches=IndexAtHand(bench.recorder))
        home = tmp_path / "house"
        home.mkdir(mode=0o700)

        @asynccontextmanager
        async def offline(_: Any) -> AsyncIterator[Any]:
            yield control_app(product)

        async def run(*words: str, code: int = 0) -> str:
            line = ["timeline", *words, "--data", str(home)]
            result = await anyio.to_thread.run_sync(lambda: typed(offline, line))
            assert result.exit_code == code, result.output
            return str(result.output if code else result.stdout)

        asked = ("--prompt", MADE.prompt_digest, "--model", "claude-sonnet-4-5")
        copy = ("--ledger", str(tmp_path / "ledger"))
        online = json.loads(await run(*asked, "--json"))
        offline_answer = json.loads(await run(*asked, "--json", *copy))
        assert len(online) == len(offline_answer) == 5
        for known, blind in zip(online, offline_answer, strict=True):
            same = {"text", "details"}
            assert {k: v for k, v in known.items() if k not in same} == {
                k: v for k, v in blind.items() if k not in same
            }
        async with client_of(control_app(product)) as client:
            # As the document of the API says it.
            assert (await client("find_actions", model="claude-sonnet-4-5"))["items"][:4] == online[:4]
        for more in ((), copy):
            text = await run(*asked, *more)
            assert "model_name: claude-sonnet-4-5 (claimed, not measured)" in text
            assert f"prompt_digest: {MADE.prompt_digest} (measured by its sidecar)" in text
            assert "(NOT what ran: the agent differed from it)" in text
            assert f"manifest {first}" in text
        assert "registered" not in await run("--manifest", "b" * 64, code=1)
        assert "set out to" in await run(first, *copy)
        for words in (("--manifest", "x"), ("--prompt", "x"), ("--model", "@")):
            await run(*words, code=1)
        for words in ((), ("1", "--model", "m")):
            await run(*words, code=2)
        assert "checkpoint" in await run("--model", "m", "--ledger", str(home), code=1)
        (tmp_path / "ledger" / "checkpoint").write_text("nonsense")
        with pytest.raises((Malformed, Broken)):
            list(copied_entries(tmp_path / "ledger"))
