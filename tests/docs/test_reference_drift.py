"""The generated reference pages are what the code says."""

from __future__ import annotations

import pytest

from reference import FOLDER, pages
from wire_tables import CLAIMS, KINDS


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """All pages, made once: each of them needs most of the code read."""
    return pages()


@pytest.mark.requirement("CLI-07")
@pytest.mark.parametrize(
    "name",
    [
        *("cli.md", "settings.md", "errors.md", "api.md", "conformance.md", "aarm.md", "openapi.json"),
        *("python.md", "targets.md"),
    ],
)
def test_a_reference_page_is_what_the_code_says(name: str, made: dict[str, str]) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == made[name], "run `python tools/reference.py`"


@pytest.mark.requirement("STATEMENT-02")
def test_the_table_of_every_kind_of_statement_is_what_its_form_says(made: dict[str, str]) -> None:
    tables = {name: text for name, text in made.items() if name.startswith("wire/")}
    for name, text in tables.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, "run `python tools/reference.py`"
    found = [one["typ"] for text in tables.values() for one in CLAIMS.finditer(text)]
    assert sorted(found) == sorted(kind.typ for kind in KINDS)
