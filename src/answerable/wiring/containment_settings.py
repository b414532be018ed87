"""Settings of the drills required before an agent or a capability gets a higher tier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from answerable.errors import shown
from answerable.setting_fields import text

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUIRED: Final = "required"
TOLD: Final = "told"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainmentSettings:
    """What raising a tier requires."""

    drills: str = text(
        TOLD,
        "`required` refuses documents that raise a tier unless a stop, a revocation and a trace drill of what is "
        "raised passed within 90 days; `told` applies them, says what is missing and records it",
    )


def containment_faults(settings: ContainmentSettings) -> Iterator[tuple[str, str]]:
    """Yield each faulty key with the fault."""
    if settings.drills not in (REQUIRED, TOLD):
        yield "containment.drills", f"expected `{REQUIRED}` or `{TOLD}`, got {shown(settings.drills)}"
