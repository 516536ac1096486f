"""Ask a trainer pod for its metrics."""

import logging
from collections.abc import Mapping

import aiohttp
from yarl import URL

from nnunet_api.contract import METRICS_PORT
from nnunet_operator.progress.model import FoldSample
from nnunet_operator.progress.parse import parse_sample

log = logging.getLogger(__name__)

MAX_BYTES = 512 * 1024
"""Bytes of an answer that are read. nnU-Net's trainer sends some 10 KiB."""


async def scrape(
    session: aiohttp.ClientSession,
    pod_ip: str,
    port: int = METRICS_PORT,
    timeout: float = 5.0,  # noqa: ASYNC109 aiohttp's own time limit closes the connection, too
    *,
    labels: Mapping[str, str] | None = None,
) -> FoldSample | None:
    """Return what the pod's metrics say, or None where it does not answer, or not with metrics.

    `timeout` is in seconds, for everything. `labels` are those that the series must carry, see
    `parse_sample`. Never raises for what a pod does or fails to do.
    """
    try:
        body = await _get(session, pod_ip, port, aiohttp.ClientTimeout(total=timeout))
        return parse_sample(body.decode(), labels)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        log.debug("no metrics from %s port %s: %s", pod_ip, port, error or type(error).__name__)
        return None


async def _get(session: aiohttp.ClientSession, host: str, port: int, limit: aiohttp.ClientTimeout) -> bytes:
    url = URL.build(scheme="http", host=host, port=port, path="/metrics")
    async with session.get(
        url,
        timeout=limit,
        headers={"Accept-Encoding": "identity"},
        # A pod is not to send the operator elsewhere, or to make it inflate a small answer to a large one.
        allow_redirects=False,
        auto_decompress=False,
    ) as response:
        if response.status != 200:
            raise ValueError(f"HTTP status {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
        return bytes(body)
