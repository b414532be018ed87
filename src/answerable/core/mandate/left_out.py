"""What stands beside a task and is not part of it: on the same systems, and in other environments.

Only for people who read a preview: nothing is allowed because it is missing here.
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
    """capabilities: names of those on the systems of the task that are not in it. environments: likewise. beyond: names
    of those that are in it, and that whoever gives it may not give.
    """

    capabilities: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()


def left_out(
    terms: MandateTerms, capabilities: Mapping[str, Capability], *, giver: Principal | None = None
) -> LeftOut:
    """What the registered capabilities have beside those of the mandate. giver: who answers for it; None where nobody
    is known who does, which is said elsewhere."""
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
