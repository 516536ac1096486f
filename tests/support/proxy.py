"""Stands between the operator and the real API server: counts requests, and makes what networks and servers make."""

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from hack.processes import free_ports
from tests.support.api import Api

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""Answers a request in the API server's place, or returns None to let it pass."""


class Proxy:
    """A reverse proxy on loopback with the administrator's credentials; runs in a thread."""

    def __init__(self, api: Api, folder: Path) -> None:
        self._api = api
        (self._port,) = free_ports(1)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._watches: set[web.StreamResponse] = set()
        self.requests: list[tuple[str, str, bool]] = []
        """Method, path, whether it is a watch."""
        self.fault: Fault | None = None
        self.kubeconfig = folder / "proxy.kubeconfig"
        self.kubeconfig.write_text(json.dumps(self._config()))

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def watching(self) -> int:
        """Number of watches that are open."""
        return len(self._watches)

    def writes(self) -> list[tuple[str, str]]:
        """Return the requests so far that change something."""
        return [(method, path) for method, path, _ in self.requests if method != "GET"]

    def watches(self) -> int:
        """Return how many watches were begun so far."""
        return sum(1 for *_, watch in self.requests if watch)

    def cut_watches(self, kind: str = "") -> None:
        """End all watches that are open, or those of a kind."""
        self._loop.call_soon_threadsafe(self._cut, kind)

    def _cut(self, kind: str = "") -> None:
        for response in list(self._watches):
            request = response._req
            if request and request.transport and request.path.endswith(kind):
                request.transport.close()

    def _config(self) -> Any:
        server = f"http://127.0.0.1:{self._port}"
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": server}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        }

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        context = ssl.create_default_context(cafile=self._api.ca)
        context.load_cert_chain(self._api.certificate, self._api.key)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(self._api.server, connector=connector, timeout=timeout) as self._session:
            application = web.Application(client_max_size=2**24)
            application.router.add_route("*", "/{path:.*}", self._handle)
            # A watch that is cut is over at once, not when the API server next has something to say.
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self._ready.set()
            await self._stop.wait()
            self._cut()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watch = is_watch(request)
        self.requests.append((request.method, request.path, watch))
        if self.fault:
            answer = await self.fault(request)
            if answer is not None:
                return answer
        kept = ("Content-Type", "Accept", "User-Agent")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        body = await request.read() if request.can_read_body else None
        try:
            async with self._session.request(request.method, request.path_qs, headers=headers, data=body) as upstream:
                return await self._pass_on(request, upstream, watch)
        except aiohttp.ClientConnectionError:
            if request.transport:
                request.transport.close()  # as the operator would see it
            return web.Response(status=502)

    async def _pass_on(self, request: web.Request, upstream: aiohttp.ClientResponse, watch: bool) -> web.StreamResponse:
        response = web.StreamResponse(status=upstream.status)
        response.content_type = upstream.content_type
        await response.prepare(request)
        if watch:
            self._watches.add(response)
        try:
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        finally:
            self._watches.discard(response)
        return response


def is_watch(request: web.Request) -> bool:
    """Say whether a request is a watch."""
    return request.query.get("watch") == "true"


def status_answer(code: int, message: str) -> web.Response:
    """Return an error as the API server words it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return web.json_response(body, status=code)


def answering(text: str) -> Fault:
    """Return a fault that answers everything with HTTP status 200 and a text."""

    async def fault(_: web.Request) -> web.StreamResponse | None:
        return web.Response(text=text, content_type="application/json")

    return fault


def refusing(namespace: str) -> Fault:
    """Return a fault that answers everything in a namespace with HTTP status 403."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        inside = f"/namespaces/{namespace}/" in request.path
        return status_answer(403, f"a test forbids {namespace}") if inside else None

    return fault


def failing(code: int, only_watches: bool = False, kind: str = "", retry_after: str = "") -> Fault:
    """Return a fault that answers everything, or all watches, or all of a kind, with an HTTP status."""

    async def fault(request: web.Request) -> web.StreamResponse | None:
        if (only_watches and not is_watch(request)) or not request.path.endswith(kind):
            return None
        answer = status_answer(code, f"a test answers with {code}")
        if retry_after:
            answer.headers["Retry-After"] = retry_after
        return answer

    return fault


async def ending_watches(request: web.Request) -> web.StreamResponse | None:
    """Fault: each watch is ended as soon as it begins."""
    return web.Response(text="", content_type="application/json") if is_watch(request) else None


async def expired_watches(request: web.Request) -> web.StreamResponse | None:
    """Fault: each watch says that its starting point is too old."""
    if not is_watch(request):
        return None
    status = {"kind": "Status", "status": "Failure", "reason": "Expired", "message": "too old", "code": 410}
    return web.Response(text=json.dumps({"type": "ERROR", "object": status}) + "\n", content_type="application/json")
