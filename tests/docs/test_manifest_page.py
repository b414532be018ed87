"""The page about agent manifests says what is read and hashed, and its example is one."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest

from answerable.adapters.project_files.collecting import USUAL_PROMPTS, files_digest
from answerable.adapters.project_files.tree import IGNORED_DIRECTORIES, IGNORED_NAMES
from answerable.core.canonical import encode
from answerable.core.identity.workload.evidence import GRADES
from answerable.core.registry.manifests.manifest import MANIFEST_FIELDS, form_of, manifest_digest, manifest_of
from answerable.core.registry.manifests.manifest_drift import Verdict
from answerable.core.registry.manifests.manifest_token import MANIFEST_TYP, manifest_claims
from answerable.core.registry.tools.tool_digest import tools_digest
from answerable.core.statement import claims_in
from answerable.testing.clock import START
from answerable.wiring.project_manifest import manifest_from_text

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "wire" / "agent-manifest.md").read_text()

pytestmark = pytest.mark.requirement("MANIFEST-02")


def block(kind: str, number: int = 0) -> str:
    return str(re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[number]).strip()


def first_column(heading: str) -> tuple[str, ...]:
    """The first cells of the table under this heading row."""
    rows = re.search(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert rows is not None, heading
    return tuple(re.findall(r"^\| `(\w+)` \|", rows[1], re.MULTILINE))


def test_document_form_and_digest_of_the_example_belong_together() -> None:
    manifest = manifest_from_text(block("yaml"), file="example")
    assert encode(form_of(manifest)).decode() == block("json")
    assert manifest_of(json.loads(block("json"))) == manifest
    assert manifest_digest(manifest) == block("text")


def test_the_digests_of_the_example_can_be_made_from_what_the_page_says() -> None:
    manifest = manifest_from_text(block("yaml"), file="example")
    tool = json.loads(re.search(r'`(\["crm",.*?\])`', PAGE)[1])
    listed = {tool[0]: [{"name": tool[1], "description": tool[2], "inputSchema": tool[3]}]}
    assert tools_digest(listed) == manifest.tools_digest
    assert f"sha256:{sha256(encode([tool])).hexdigest()}" == manifest.tools_digest
    prompt = sha256(b"Answer customers. Never promise a refund.\n").digest()
    assert f"sha256:{sha256(b'FAGENTS.md' + bytes(1) + prompt).hexdigest()}" == manifest.prompt_digest
    assert files_digest([("AGENTS.md", False, prompt)]) == manifest.prompt_digest


def test_the_tables_list_all_fields_claims_grades_and_verdicts() -> None:
    manifest = manifest_from_text(block("yaml"), file="example")
    claims = claims_in(manifest_claims(manifest, owner="ada", at=START))
    assert first_column("Field") == MANIFEST_FIELDS
    assert first_column("Claim") == tuple(claims)
    assert first_column("Grade") == GRADES
    assert first_column("Verdict") == get_args(Verdict)
    assert f'"typ": "{MANIFEST_TYP}"' in block("json", 1)


def test_everything_that_is_left_out_of_the_code_and_taken_for_a_prompt_is_named() -> None:
    for name in (*IGNORED_DIRECTORIES, *IGNORED_NAMES):
        assert f"`{name}`" in PAGE, name
    for pattern in USUAL_PROMPTS:
        assert f"`{pattern.removeprefix('**/').removesuffix('/**')}`" in PAGE, pattern
