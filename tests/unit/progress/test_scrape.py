"""Scraping real HTTP servers on loopback, among them slow, huge and lying ones."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from nnunet_api.facts import FACTS_LIMIT, FACTS_PATH, FoldFacts, ServedFacts
from nnunet_operator.progress.model import LiveFacts
from nnunet_operator.progress.scrape import scrape

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = "127.0.0.1"
FACTS = FoldFacts(fold="0", epoch=12, epochs_target=20)
BODY = ServedFacts(uid="u", facts=FACTS).to_body()
OURS = {"uid": "u", "fold": "0"}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[int]]]:
    runners = []

    async def start(handler: Handler) -> int:
        app = web.Application()
        app.router.add_get(FACTS_PATH, handler)
        app.router.add_get("/elsewhere", good)
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
    return web.Response(body=BODY, content_type="application/json")


async def missing(request: web.Request) -> web.Response:
    raise web.HTTPNotFound


async def metrics(request: web.Request) -> web.Response:
    return web.Response(text='nnunet_epoch{fold="0"} 12\n')


async def broken(request: web.Request) -> web.Response:
    raise web.HTTPInternalServerError


async def elsewhere(request: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")  # where it would find what it asked for


async def binary(request: web.Request) -> web.Response:
    return web.Response(body=b"\xff\xfe\x00")


async def huge(request: web.Request) -> web.Response:
    return web.Response(body=BODY + b" " * FACTS_LIMIT)


async def deep(request: web.Request) -> web.Response:
    return web.Response(body=b"[" * 100_000)


async def inflated(request: web.Request) -> web.Response:
    response = web.Response(body=BODY)
    response.enable_compression(web.ContentCoding.gzip)
    return response


async def garbage(request: web.Request) -> web.Response:
    return web.Response(body=BODY.replace(b"12", b"NaN"))


async def impossible(request: web.Request) -> web.Response:
    return web.Response(body=BODY.replace(b"12", b"-12"))


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(BODY)
    transport = request.transport
    while transport and not transport.is_closing():
        await response.write(b" " * 1000)
    return response


async def test_a_pod_that_answers(session: aiohttp.ClientSession, serve: Serve) -> None:
    assert await scrape(session, LOOPBACK, await serve(good), 30, **OURS) == LiveFacts(FACTS)


@pytest.mark.parametrize("who", [{"uid": "u", "fold": "1"}, {"uid": "u", "fold": "0-r2"}, {"uid": "v", "fold": "0"}])
async def test_a_pod_that_is_anothers(
    session: aiohttp.ClientSession, serve: Serve, who: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    assert await scrape(session, LOOPBACK, await serve(good), 30, **who) is None
    assert "it trains fold 0 of the training with UID u" in caplog.text


@pytest.mark.parametrize("handler", [missing, metrics])
async def test_a_trainer_older_than_the_facts(session: aiohttp.ClientSession, serve: Serve, handler: Handler) -> None:
    assert await scrape(session, LOOPBACK, await serve(handler), 30, **OURS) == LiveFacts(None)


@pytest.mark.parametrize("handler", [broken, elsewhere, binary, huge, deep, inflated, garbage, impossible, endless])
async def test_a_pod_that_answers_nonsense(session: aiohttp.ClientSession, serve: Serve, handler: Handler) -> None:
    assert await scrape(session, LOOPBACK, await serve(handler), 2, **OURS) is None


async def test_a_pod_that_is_not_there(session: aiohttp.ClientSession) -> None:
    with socket.socket() as unused:
        unused.bind((LOOPBACK, 0))
        assert await scrape(session, LOOPBACK, unused.getsockname()[1], 1, **OURS) is None


async def test_a_pod_that_never_answers(session: aiohttp.ClientSession) -> None:
    with socket.socket() as silent:
        silent.bind((LOOPBACK, 0))
        silent.listen()
        assert await scrape(session, LOOPBACK, silent.getsockname()[1], 0.2, **OURS) is None


@pytest.mark.parametrize("host", ["not an address", ""])
async def test_an_address_that_is_none(session: aiohttp.ClientSession, host: str) -> None:
    assert await scrape(session, host, 1, 1, **OURS) is None
