"""The settings table of a target kind's page, made from its settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

HEADING = ("| Setting | Unit | Default | Says |", "| --- | --- | --- | --- |")


def settings_table(settings: type[Any]) -> str:
    """As docs/reference/adapters shows it."""
    rows = []
    for one in fields(settings):
        meta = one.metadata
        default = "none" if one.default in ("", ()) else f"`{one.default}`"
        unit = str(meta["unit"])
        if "minimum" in meta:
            unit += f", {meta['minimum']} to {meta['maximum']}"
        rows.append(f"| `{one.name}` | {unit} | {default} | {meta['says']} |")
    return "\n".join([*HEADING, *rows]) + "\n"
