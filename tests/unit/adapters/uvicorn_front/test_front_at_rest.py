"""A front that serves nobody does nothing: it waits for its end, and tells the date when somebody asks."""

from __future__ import annotations

from email.utils import formatdate
from pathlib import Path

import httpx2
import pytest
import uvicorn

from answerable.adapters.uvicorn_front import server as front_server
from tests.unit.adapters.uvicorn_front.test_front import serving

pytestmark = [pytest.mark.anyio, pytest.mark.requirement("HOUSE-31")]


async def plain(scope: dict[str, object], receive: object, send: object) -> None:
    """Answers whatever is asked."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"here"})


async def test_nothing_ticks_and_each_answer_has_the_date_of_its_request(tmp_path: Path, monkeypatch) -> None:
    ticks: list[int] = []

    async def ticking(_self: object, counter: int) -> bool:
        ticks.append(counter)
        return False

    monkeypatch.setattr(uvicorn.Server, "on_tick", ticking)
    said = []
    path = tmp_path / "front.sock"
    async with (
        serving(plain, uds=path),
        httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=str(path)), base_url="http://localhost"
        ) as client,
    ):
        for second in (1_700_000_000, 1_700_000_000, 1_700_000_001, 1_800_000_000):
            monkeypatch.setattr(front_server, "time", lambda at=second: at + 0.5)
            answer = await client.get("/")
            assert answer.headers.get_list("date") == [formatdate(second, usegmt=True)]
            said.append(answer.text)
    assert said == ["here"] * 4
    assert ticks == []
