"""Find what a task does not include: other capabilities on the same systems, and other environments.

Only the preview for people uses the result: a capability that is missing from it is not thereby allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from answerable.core.mandate.caveat import EnvironmentIs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from answerable.core.mandate.mandate import MandateTerms
    from answerable.core.registry.documents.capability import Capability
    from answerable.core.registry.documents.documents import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What a task does not include. capabilities: names of capabilities that are on the task's systems but not in the
    task. environments: environments that the task does not act in. beyond: names of capabilities that are in the task,
    although its giver may not give them."""

    capabilities: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()


def left_out(
    terms: MandateTerms, capabilities: Mapping[str, Capability], *, giver: Principal | None = None
) -> LeftOut:
    """Compare the registered capabilities with those of the mandate.

    giver: the principal who gives the task; None if unknown, which the caller reports separately.
    """
    granted = [capabilities[grant.capability] for grant in terms.grants if grant.capability in capabilities]
    names, servers = {one.name for one in granted}, {one.server for one in granted}
    only = {one.environment for one in terms.caveats if isinstance(one, EnvironmentIs)}
    reached = {one.environment for one in granted if not only or one.environment in only}
    beside = [one for one in capabilities.values() if one.server in servers]
    return LeftOut(
        capabilities=tuple(sorted(one.name for one in beside if one.name not in names)),
        environments=tuple(sorted({one.environment for one in capabilities.values()} - reached)),
        beyond=tuple(
            dict.fromkeys(
                one.capability
                for one in terms.grants
                if giver is not None and not giver.gives(one.capability)
            )
        ),
    )
