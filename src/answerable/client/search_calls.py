"""Operations of the control API on the subject `search`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.search_answers import AccountsAnswer, NameAnswer, ScopeAnswer, SearchAnswer, StoryAnswer
from answerable.client.transport import INDEX_SECONDS_MAX, Transport, given, segment


def search_actions(
    control: Transport,
    *,
    q: str | None = None,
    limit: str | None = None,
    cursor: str | None = None,
    seconds_max: float = INDEX_SECONDS_MAX,
) -> SearchAnswer:
    """What happened, newest first: actions with their outcome, refusals, and every other entry of the ledger."""
    return control.answer_as(
        SearchAnswer,
        "GET",
        "/v1/actions",
        query=given(q=q, limit=limit, cursor=cursor),
        seconds_max=seconds_max,
    )


def show_timeline(
    control: Transport,
    name: str,
    *,
    q: str | None = None,
    limit: str | None = None,
    seconds_max: float = INDEX_SECONDS_MAX,
) -> StoryAnswer:
    """The story of any name that a search knows, or of what meets a search; without lines for an unknown one."""
    return control.answer_as(
        StoryAnswer,
        "GET",
        f"/v1/timeline/{segment(name)}",
        query=given(q=q, limit=limit),
        seconds_max=seconds_max,
    )


def show_name(control: Transport, name: str, *, seconds_max: float = INDEX_SECONDS_MAX) -> NameAnswer:
    """What any id, name, digest or beginning of a name stands for, and what belongs to it."""
    return control.answer_as(NameAnswer, "GET", f"/v1/names/{segment(name)}", seconds_max=seconds_max)


def show_scope(
    control: Transport,
    *,
    q: str | None = None,
    rows: str | None = None,
    seconds_max: float = INDEX_SECONDS_MAX,
) -> ScopeAnswer:
    """Attempts outside of scope, by agent, capability, use case, rule, code and week."""
    return control.answer_as(
        ScopeAnswer, "GET", "/v1/scope", query=given(q=q, rows=rows), seconds_max=seconds_max
    )


def list_accounts(
    control: Transport, *, target: str | None = None, seconds_max: float = INDEX_SECONDS_MAX
) -> AccountsAnswer:
    """Accounts at targets: of leases, shared, the broker's own, and those that only a target's log names."""
    return control.answer_as(
        AccountsAnswer, "GET", "/v1/accounts", query=given(target=target), seconds_max=seconds_max
    )
