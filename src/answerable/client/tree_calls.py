"""Operations of the control API on the subject `tree`, made by `tools/control_client.py`."""

from __future__ import annotations

from answerable.api.tree_answers import MandateTree
from answerable.client.transport import INDEX_SECONDS_MAX, Transport, segment


def show_mandate_tree(control: Transport, id: str, *, seconds_max: float = INDEX_SECONDS_MAX) -> MandateTree:
    """What was handed on below a mandate, to whom, and what was done at each place."""
    return control.answer_as(MandateTree, "GET", f"/v1/mandates/{segment(id)}/tree", seconds_max=seconds_max)
