"""What an API server, or something that stands in for it, may answer: never more than an error with words."""

import asyncio
import functools
import json
import ssl
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.client.resources import TRAININGS
from nnunet_operator.runtime.errors import LONGEST_RETRY_AFTER_SECONDS, ApiError, Unreachable, retry_after
from nnunet_operator.runtime.keys import Key

KEY = Key("clinic", "hippo")
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

Ask = Callable[[Client], Awaitable[Any]]


@pytest.fixture(autouse=True, scope="module")
def certificates() -> Iterator[None]:
    """Read the machine's certificates once, in place of once for each client: here they are not the point."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


async def _served(text: str, status: int, headers: dict[str, str], ask: Ask) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status, headers=headers, content_type="application/json")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration()
    host, port = runner.addresses[0][:2]
    configuration.host = f"http://{host}:{port}"
    try:
        async with Client(configuration, 20, Metrics()) as client:
            return await ask(client)
    finally:
        await runner.cleanup()


def asked(ask: Ask, text: str, status: int = 200, **headers: str) -> Any:
    """Return what a client makes of an answer."""
    return asyncio.run(_served(text, status, headers, ask))


ASKS: list[Ask] = [
    lambda client: client.get(TRAININGS, KEY),
    lambda client: client.create(TRAININGS, "clinic", {}),
    lambda client: client.write_status(TRAININGS, KEY, "1", {}),
    lambda client: client.list_all(TRAININGS),
    lambda client: client.served([TRAININGS]),
]
BODY = {"metadata": {"name": "hippo", "resourceVersion": "7"}}


@pytest.mark.parametrize(
    "text",
    [
        *("", "<html>Sign in</html>", "[]", "null", "7", '"ok"', "{", "{}", '{"metadata": []}', '{"metadata": {}}'),
        '{"kind": "Status", "status": "Success"}',
        "[" * 100_000,
        json.dumps({"metadata": {"name": "hippo", "resourceVersion": "x"}, "items": []}),
        json.dumps({"metadata": {"name": "hippo", "resourceVersion": 7}, "items": []}),
        json.dumps({"metadata": {"resourceVersion": "7"}, "items": {}, "resources": {}}),
        json.dumps({"metadata": {"resourceVersion": "7"}, "items": [7], "resources": 7}),
        json.dumps({"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "hippo"}}]}),
    ],
)
def test_a_good_status_with_a_bad_body_is_no_answer(text: str) -> None:
    async def ask_all(client: Client) -> None:
        for ask in ASKS:
            with pytest.raises(Unreachable, match="the answer is no"):
                await ask(client)

    asked(ask_all, text)


@pytest.mark.parametrize(
    ("answer", "items"),
    [
        ({"metadata": {"resourceVersion": "9"}, "items": [BODY]}, [BODY]),
        ({"metadata": {"resourceVersion": "9"}, "items": []}, []),
        ({"kind": "JobList", "metadata": {"resourceVersion": "9"}, "items": None}, []),
    ],
)
def test_lists(answer: dict[str, Any], items: list[Any]) -> None:
    assert asked(lambda client: client.list_all(TRAININGS), json.dumps(answer)) == (items, 9)


@pytest.mark.parametrize("text", ["", "<html>", "[]", "null", '{"message": null}', '{"message": "no"}'])
@pytest.mark.parametrize(("status", "error"), [(404, ApiError), (503, Unreachable), (429, Unreachable)])
def test_a_bad_status_is_an_error_whatever_the_body(text: str, status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"HTTP {status}"):
        asked(lambda client: client.get(TRAININGS, KEY), text, status)


def test_the_time_that_the_server_asks_for_goes_with_the_error() -> None:
    with pytest.raises(Unreachable) as raised:
        asked(lambda client: client.get(TRAININGS, KEY), "{}", 429, **{"Retry-After": "17"})
    assert raised.value.retry_after == 17


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *((text, None) for text in ("", "soon", "-1", "nan", "inf", "1.5", "²", "Mon, 99 Foo")),
        ("0", 0),
        (" 7 ", 7),
        ("86400", LONGEST_RETRY_AFTER_SECONDS),
        ("9" * 400, LONGEST_RETRY_AFTER_SECONDS),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Sun, 01 Mar 2099 11:00:00 GMT", LONGEST_RETRY_AFTER_SECONDS),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text}, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "message", "refused"),
    [
        (
            500,
            'Internal error occurred: failed calling webhook "a": failed to call webhook: Post "https://x": EOF',
            True,
        ),
        (503, 'admission webhook "a" denied the request: later', True),
        (404, 'admission webhook "a" denied the request: no such team', True),
        (403, "forbidden", True),
        (500, "etcdserver: request timed out", False),
        (503, "apiserver is shutting down", False),
        (404, "not found", False),
    ],
)
def test_who_stands_in_the_way_of_one_request_is_told_from_a_server_that_is_not_well(
    status: int, message: str, refused: bool
) -> None:
    with pytest.raises((ApiError, Unreachable)) as raised:
        asked(lambda client: client.create(TRAININGS, "clinic", {}), json.dumps({"message": message}), status)
    assert isinstance(raised.value, ApiError | Unreachable) and raised.value.refused is refused
