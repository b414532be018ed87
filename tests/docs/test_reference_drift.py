"""The generated reference pages are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from error_codes import error_codes
from reference import FOLDER, SOURCES, pages
from wire_tables import CLAIMS, KINDS


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """All pages, made once: each of them needs most of the code read."""
    return pages()


@pytest.mark.requirement("CLI-07")
@pytest.mark.parametrize(
    "name", ["cli.md", "settings.md", "errors.md", "api.md", "conformance.md", "aarm.md", "openapi.json"]
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


@pytest.mark.requirement("STATEMENT-02")
def test_error_codes_of_a_kind_of_statement_are_found_where_it_is_made_and_asked() -> None:
    found = {(one.branch, one.code): one for one in error_codes(SOURCES)}
    for code in ("malformed", "type", "algorithm", "key", "signature", "audience", "other", "stale"):
        branch = "Malformed" if code == "malformed" else "Unverified"
        assert "core/containment/lift.py" in found[branch, f"lift.{code}"].modules
    assert ("Unverified", "manifest.audience") not in found, "no manifest is for one deployment"


@pytest.mark.requirement("CLI-07")
def test_error_codes_are_found_through_the_functions_that_make_errors(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(
        'PORT = "x"\n'
        "def fault(what, path, *, code):\n"
        '    return Malformed(f"{what}: at {path}", code=code)\n'
        "def unverified(message, kind='old'):\n"
        '    return Unverified(message, code=f"proof.{kind}", step="s")\n'
        "def run(kind):\n"
        '    raise fault("too deep", "/a", code="json.depth")\n'
        '    raise unverified("is stale")\n'
        '    raise unverified("is odd", "odd")\n'
        '    raise unverified("cannot be known here", kind)\n'
        '    raise Unavailable(f"{PORT} is down", code="x.down", port=PORT)\n'
        '    return Shortfall(code="mandate.closed", text="it is closed")\n'
    )
    assert [(one.branch, one.code, one.message) for one in error_codes(tmp_path)] == [
        ("Malformed", "json.depth", "too deep: at /a"),
        ("Decision", "mandate.closed", "it is closed"),
        ("Unverified", "proof.odd", "is odd"),
        ("Unverified", "proof.old", "is stale"),
        ("Unavailable", "x.down", "x is down"),
    ]
