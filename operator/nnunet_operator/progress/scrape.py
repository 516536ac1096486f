"""Ask a trainer pod for the facts of its fold. The image may be anybody's: nothing in the answer is trusted."""

import logging

import aiohttp
from yarl import URL

from nnunet_api.contract import METRICS_PORT
from nnunet_api.facts import FACTS_LIMIT, FACTS_PATH, FACTS_TYPE, ServedFacts
from nnunet_operator.progress.model import LiveFacts

log = logging.getLogger(__name__)

_OLD_TYPE = "text/plain"
"""A trainer older than the facts answers at every path with its metrics, which are of this type."""


class _OldTrainer(Exception):
    """The trainer is older than the facts."""


async def scrape(
    session: aiohttp.ClientSession,
    pod_ip: str,
    port: int = METRICS_PORT,
    timeout: float = 5.0,  # noqa: ASYNC109 aiohttp's own time limit closes the connection, too
    *,
    uid: str,
    fold: str,
) -> LiveFacts | None:
    """Return what the pod's trainer says, or None where it does not answer, or not with facts of this fold.

    `timeout` is in seconds, for everything. `uid` is the training's, `fold` the name of the fold's run: an IP address
    that a dead pod left may belong to another fold's pod by now. Never raises for what a pod does or fails to do.
    """
    try:
        served = ServedFacts.of(await _get(session, pod_ip, port, aiohttp.ClientTimeout(total=timeout)))
        if (served.uid, served.facts.fold) != (uid, fold):
            raise ValueError(f"it trains fold {served.facts.fold} of the training with UID {served.uid}")
        return LiveFacts(served.facts)
    except _OldTrainer:
        return LiveFacts(None)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        log.debug("no facts from %s port %s: %s", pod_ip, port, error or type(error).__name__)
        return None


async def _get(session: aiohttp.ClientSession, host: str, port: int, limit: aiohttp.ClientTimeout) -> bytes:
    url = URL.build(scheme="http", host=host, port=port, path=FACTS_PATH)
    async with session.get(
        url,
        timeout=limit,
        headers={"Accept": FACTS_TYPE, "Accept-Encoding": "identity"},
        # A pod is not to send the operator elsewhere, or to make it inflate a small answer to a large one.
        allow_redirects=False,
        auto_decompress=False,
    ) as response:
        if response.status == 404 or (response.status == 200 and response.content_type == _OLD_TYPE):
            raise _OldTrainer
        if response.status != 200:
            raise ValueError(f"HTTP status {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > FACTS_LIMIT:
                raise ValueError(f"more than {FACTS_LIMIT} bytes")
        return bytes(body)
