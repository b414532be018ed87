"""The typed client of the control API is what its generator makes of the operations."""

from __future__ import annotations

import pytest

from answerable.apps.control_api.operations import OPERATIONS
from control_client import FOLDER, modules

OTHERS = {"__init__.py", "transport.py"}


@pytest.mark.requirement("HOUSE-51")
def test_every_module_of_the_client_is_what_the_generator_makes() -> None:
    made = modules()
    assert {one.name for one in FOLDER.glob("*.py")} - OTHERS == made.keys()
    for name, text in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, "run `python tools/control_client.py`"


@pytest.mark.requirement("HOUSE-51")
def test_the_client_has_a_function_for_each_operation_that_declares_its_types() -> None:
    text = "\n".join(modules().values())
    declared = [row.id for row in OPERATIONS if row.types]
    assert declared
    assert [name for name in declared if f"\ndef {name}(" not in text] == []


@pytest.mark.requirement("HOUSE-53")
def test_the_command_line_asks_through_the_client() -> None:
    commands = FOLDER.parent / "apps" / "cli"
    asking = {one.name for one in commands.glob("*.py") if '"/v1/' in one.read_text(encoding="utf-8")}
    assert asking == {"panic.py", "trust.py"}
    untyped = [row.id for row in OPERATIONS if not row.types]
    assert untyped == ["show_bundle"]
