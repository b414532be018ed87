"""What steps of the walk use together, made once by wiring from the parts of a process.

Laws: each struct is what one step works with, and has at most four members. None is made for an action.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from answerable.flows.state.parts import AskingState, AuthorityRegisters, Counters
    from answerable.flows.state.policy_desk import PolicyState
    from answerable.flows.state.worlds import Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """What a request is planned and verified with: worlds, plans and tools, and the registers of authority."""

    verification: Verification
    authority: AuthorityRegisters


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """What an action is decided with: what its facts are counted by, the policies in force, and the people whom a
    policy may ask."""

    counters: Counters
    policies: PolicyState
    asking: AskingState
