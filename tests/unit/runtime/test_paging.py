"""Lists are read in pages that fit into memory, however large the objects in them are."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.client import paging
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.client.resources import TRAININGS

KIB = 1 << 10


class Shelf:
    """An API server with objects of these sizes in bytes."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.asked: list[tuple[int, int]] = []
        """Objects that were skipped and asked for, for each request."""

    async def answer(self, request: web.Request) -> web.Response:
        begin, limit = int(request.query.get("continue") or 0), int(request.query["limit"])
        self.asked.append((begin, limit))
        end = min(begin + limit, len(self.sizes))
        items = [
            {"metadata": {"name": f"t{number}", "resourceVersion": "7"}, "spec": {"x": "y" * self.sizes[number]}}
            for number in range(begin, end)
        ]
        more = str(end) if end < len(self.sizes) else ""
        metadata = {"resourceVersion": "9", "continue": more}
        return web.Response(text=json.dumps({"metadata": metadata, "items": items}), content_type="application/json")


async def _listed(shelf: Shelf) -> list[list[Any]]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", shelf.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    configuration = Configuration()
    host, port = runner.addresses[0][:2]
    configuration.host = f"http://{host}:{port}"
    try:
        async with Client(configuration, 20, Metrics()) as client:
            return [page async for page, _ in client.pages(TRAININGS)]
    finally:
        await runner.cleanup()


SHELVES = {
    "none": [],
    "small ones": [2 * KIB] * 1000,
    "the largest that are admitted": [64 * KIB] * 200,
    "large ones behind small ones": [KIB] * 500 + [600 * KIB] * 20,
    "some that no page may hold": [100, 9 << 20, 100, 9 << 20],
}


@pytest.mark.parametrize("sizes", SHELVES.values(), ids=SHELVES)
def test_all_come_and_no_page_is_large(sizes: list[int]) -> None:
    shelf = Shelf(sizes)
    pages = asyncio.run(_listed(shelf))
    assert [body["metadata"]["name"] for page in pages for body in page] == [f"t{n}" for n in range(len(sizes))]
    assert all(len(page) == 1 or len(json.dumps(page)) <= paging.MOST_BYTES for page in pages)


def test_thousands_of_small_ones_take_few_requests() -> None:
    shelf = Shelf([2 * KIB] * 5000)
    asyncio.run(_listed(shelf))
    assert shelf.asked[:3] == [(0, 25), (25, 100), (125, 250)] and len(shelf.asked) < 25


@pytest.mark.parametrize(
    ("limit", "count", "size", "then"),
    [
        (25, 25, 25 * KIB, 100),
        (250, 250, 250 * KIB, 250),
        (25, 25, 25 * 64 * KIB, 32),
        (25, 25, 25 << 20, 2),
        (1, 1, 9 << 20, 1),
        (25, 0, 100, 100),
        (25, 25, 0, 100),
    ],
)
def test_the_next_page_follows_the_size_of_the_last(limit: int, count: int, size: int, then: int) -> None:
    assert paging.after(limit, count, size) == then


def test_a_page_that_is_too_large_ends_at_one_object() -> None:
    assert [paging.smaller(limit) for limit in (250, 25, 4, 1)] == [62, 6, 1, 1]
