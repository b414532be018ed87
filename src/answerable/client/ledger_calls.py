"""Operations of the control API on the subject `ledger`, made by `tools/control_client.py`."""

from __future__ import annotations

from collections.abc import Iterator

from answerable.api.ledger_answers import ActionUnder, Checkpoint, Entry, Ledger, Status
from answerable.api.members import Page
from answerable.client.transport import (
    INDEX_SECONDS_MAX,
    READ_SECONDS_MAX,
    WAIT_SECONDS_MAX,
    Transport,
    given,
    items_of,
    segment,
)


def show_status(control: Transport, *, seconds_max: float = READ_SECONDS_MAX) -> Status:
    """How the product is."""
    return control.answer_as(Status, "GET", "/v1/status", seconds_max=seconds_max)


def find_actions(
    control: Transport, *, manifest: str | None = None, prompt: str | None = None, model: str | None = None
) -> Iterator[ActionUnder]:
    """Actions that ran under a manifest, prompt or model, with how well each field was known at each."""
    return items_of(
        control,
        Page[ActionUnder],
        "/v1/actions/under",
        query=given(manifest=manifest, prompt=prompt, model=model),
        seconds_max=INDEX_SECONDS_MAX,
    )


def show_ledger(control: Transport, *, seconds_max: float = READ_SECONDS_MAX) -> Ledger:
    """Name, size, key and latest checkpoint of the ledger."""
    return control.answer_as(Ledger, "GET", "/v1/ledger", seconds_max=seconds_max)


def seal_ledger(control: Transport, *, seconds_max: float = WAIT_SECONDS_MAX) -> Checkpoint:
    """Sign a checkpoint over everything that is durable."""
    return control.answer_as(Checkpoint, "POST", "/v1/ledger/seal", seconds_max=seconds_max)


def show_entry(control: Transport, index: str, *, seconds_max: float = READ_SECONDS_MAX) -> Entry:
    """One entry, opened."""
    return control.answer_as(Entry, "GET", f"/v1/ledger/entries/{segment(index)}", seconds_max=seconds_max)
