"""Scraping real HTTP servers on loopback, among them slow, huge and lying ones."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from nnunet_operator.progress.scrape import MAX_BYTES, scrape

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = "127.0.0.1"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[int]]]:
    runners = []

    async def start(handler: Handler) -> int:
        app = web.Application()
        app.router.add_get("/metrics", handler)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0).start()
        port: int = runner.addresses[0][1]
        return port

    yield start
    for runner in runners:
        await runner.cleanup()


Serve = Callable[[Handler], Awaitable[int]]


async def good(request: web.Request) -> web.Response:
    return web.Response(text='nnunet_epoch{fold="0"} 12\n')


async def missing(request: web.Request) -> web.Response:
    raise web.HTTPNotFound


async def elsewhere(request: web.Request) -> web.Response:
    raise web.HTTPFound("http://127.0.0.1:1/metrics")


async def binary(request: web.Request) -> web.Response:
    return web.Response(body=b"\xff\xfe\x00")


async def huge(request: web.Request) -> web.Response:
    return web.Response(text="nnunet_epoch 12\n" + "x" * MAX_BYTES)


async def inflated(request: web.Request) -> web.Response:
    response = web.Response(text="nnunet_epoch 12\n" * 10)
    response.enable_compression(web.ContentCoding.gzip)
    return response


async def garbage(request: web.Request) -> web.Response:
    return web.Response(text="nnunet_epoch twelve\n")


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"nnunet_epoch 12\n")
    transport = request.transport
    while transport and not transport.is_closing():
        await response.write(b"#\n" * 1000)
    return response


async def test_a_pod_that_answers(session: aiohttp.ClientSession, serve: Serve) -> None:
    sample = await scrape(session, LOOPBACK, await serve(good), 30)
    assert sample is not None
    assert sample.epoch == 12


async def test_a_pod_that_is_another_fold(session: aiohttp.ClientSession, serve: Serve) -> None:
    sample = await scrape(session, LOOPBACK, await serve(good), 30, labels={"fold": "1"})
    assert sample is not None
    assert sample.epoch is None


@pytest.mark.parametrize("handler", [missing, elsewhere, binary, huge, inflated, garbage, endless])
async def test_a_pod_that_answers_nonsense(session: aiohttp.ClientSession, serve: Serve, handler: Handler) -> None:
    assert await scrape(session, LOOPBACK, await serve(handler), 2) is None


async def test_a_pod_that_is_not_there(session: aiohttp.ClientSession) -> None:
    with socket.socket() as unused:
        unused.bind((LOOPBACK, 0))
        assert await scrape(session, LOOPBACK, unused.getsockname()[1], 1) is None


async def test_a_pod_that_never_answers(session: aiohttp.ClientSession) -> None:
    with socket.socket() as silent:
        silent.bind((LOOPBACK, 0))
        silent.listen()
        assert await scrape(session, LOOPBACK, silent.getsockname()[1], 0.2) is None


@pytest.mark.parametrize("host", ["not an address", ""])
async def test_an_address_that_is_none(session: aiohttp.ClientSession, host: str) -> None:
    assert await scrape(session, host, 1, 1) is None
