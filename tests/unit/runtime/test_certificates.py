"""The cluster's CA and the operator's token are replaced while it lives: it goes on without a restart."""

import asyncio
import socket
import ssl
from datetime import datetime
from pathlib import Path

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from hack.localcluster.pki import Authority
from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.errors import Unreachable


def authority(folder: Path) -> Path:
    """Return a folder with a new authority and a server's certificate; both authorities have the same name."""
    folder.mkdir()
    Authority(folder).issue("server", "server", names=("127.0.0.1",))
    return folder


async def served(by: Path, port: int) -> web.AppRunner:
    """Answer /version with the certificate of an authority."""
    application = web.Application()
    application.router.add_get("/version", _answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    settings = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    settings.load_cert_chain(by / "server.crt", by / "server.key")
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=settings, reuse_address=True).start()
    return runner


async def _answer(_: web.Request) -> web.Response:
    return web.json_response({})


async def _rotated(old: Path, new: Path, trusted: Path, replaced: bytes) -> list[bool]:
    """Return whether the server was reached: before, right after the change, and then."""
    reached: list[bool] = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = Configuration()
    configuration.host, configuration.ssl_ca_cert = f"https://127.0.0.1:{port}", str(trusted)
    async with Client(configuration, 20, Metrics()) as client:

        async def ask() -> None:
            try:
                await client.ping()
                reached.append(True)
            except Unreachable:
                reached.append(False)

        runner = await served(old, port)
        await ask()
        await runner.cleanup()
        await asyncio.to_thread(trusted.write_bytes, replaced)
        runner = await served(new, port)
        await ask()
        await ask()
        await runner.cleanup()
    return reached


@pytest.mark.parametrize(
    ("in_file", "expected"),
    [
        ("both", [True, False, True]),
        ("new", [True, False, True]),
        ("old", [True, False, False]),
        ("no", [True, False, False]),
    ],
)
def test_a_certificate_of_a_new_authority(tmp_path: Path, in_file: str, expected: list[bool]) -> None:
    old, new = authority(tmp_path / "old"), authority(tmp_path / "new")
    before, after = (old / "ca.crt").read_bytes(), (new / "ca.crt").read_bytes()
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes(before)
    replaced = {"both": before + after, "new": after, "old": before, "no": b"no certificate"}[in_file]
    assert asyncio.run(_rotated(old, new, trusted, replaced)) == expected


async def _asked_as(token: Path, certificates: Path) -> list[str]:
    """Return as whom the server was asked: before its token is replaced in its pod, and a minute after that."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers["Authorization"])
        return web.json_response({})

    application = web.Application()
    application.router.add_get("/version", answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration()
    where = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    loader = InClusterConfigLoader(str(token), str(certificates), environ=where)
    loader.load_and_set(configuration)
    loader.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with Client(configuration, 20, Metrics()) as client:
        configuration.host = loader.host
        await client.ping()
        await asyncio.to_thread(token.write_text, "second")
        loader.token_expires_at = datetime.now()
        await client.ping()
    await runner.cleanup()
    return asked


def test_a_token_that_is_replaced(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    trusted = authority(tmp_path / "authority") / "ca.crt"
    assert asyncio.run(_asked_as(token, trusted)) == ["bearer first", "bearer second"]
