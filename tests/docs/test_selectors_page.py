"""The page about selectors lists all that there are, and no others."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from answerable.core.identity.workload import attestation, oidc_shapes
from tests.probes.demo_run import ROOT
from tests.worlds.token_shapes import SHAPES

PAGE = (ROOT / "docs/reference/selectors.md").read_text()
OPEN = {"oidc:claim.NAME", "aws:tag.KEY"}


@pytest.mark.requirement("BYO-05")
def test_the_page_lists_every_selector_once_and_no_other():
    listed = re.findall(r"^\| `([a-z0-9_]+:[A-Za-z0-9_.]+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted({*attestation._VALUES, *OPEN})


@pytest.mark.requirement("BYO-05")
def test_the_page_has_a_section_for_every_kind_of_issuer_and_each_is_tested():
    kinds = set(re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE))
    assert kinds == set(get_args(oidc_shapes.Kind)) - {"oidc"}
    assert {one.kind for one in SHAPES.values()} == kinds


@pytest.mark.requirement("BYO-05")
def test_what_the_shapes_read_is_what_the_page_says_that_they_read():
    for name, key in (*oidc_shapes._AWS_CLAIMS, *oidc_shapes._AZURE_CLAIMS):
        assert re.search(rf"^\| `(?:aws|azure):{key}` \| [^|]*`{name}`", PAGE, re.MULTILINE), key
    for key in oidc_shapes._GITHUB_CLAIMS:
        assert re.search(rf"^\| `github:{key}` \| `{key}`", PAGE, re.MULTILINE), key
