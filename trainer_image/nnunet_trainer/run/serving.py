"""What a fold's trainer serves, up before torch is imported: metrics for Prometheus, facts for the operator."""

import contextlib
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from nnunet_api.contract import METRICS_PORT
from nnunet_api.facts import FACTS_PATH, FACTS_TYPE, ServedFacts

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

METRICS_PORT_ENV = "NNUNET_RUN_METRICS_PORT"
"""Another port, where trainers share a network because there is no container runtime."""


MOST_CONNECTIONS = 32
"""At the same time. Anybody's pods may reach the port, and each connection has a thread in the process that trains."""
SILENCE_SECONDS = 10.0
"""After so long without a byte a connection is given up."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        self._open: deque[socket.socket] = deque()
        self._guard = threading.Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own. One connection too many ends the oldest: an honest one lasts milliseconds."""
        with self._guard:
            self._open.append(request)
            if len(self._open) > MOST_CONNECTIONS:
                with contextlib.suppress(OSError):
                    self._open.popleft().shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        with self._guard, contextlib.suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke: the log is the training's."""


class _Quiet(WSGIRequestHandler):
    timeout = SILENCE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the log is the training's."""


def serve(registry: CollectorRegistry, facts: Callable[[], ServedFacts], port: int | None = None) -> None:
    """Serve metrics and facts from a thread. A port that is taken costs these, never the training."""
    port = int(os.environ.get(METRICS_PORT_ENV, METRICS_PORT)) if port is None else port
    metrics = make_wsgi_app(registry)

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != FACTS_PATH:
            pages: Iterable[bytes] = metrics(environ, start_response)
            return pages
        body = facts().to_body()
        start_response("200 OK", [("Content-Type", FACTS_TYPE), ("Content-Length", str(len(body)))])
        return [body]

    try:
        server = make_server("0.0.0.0", port, answer, _Server, _Quiet)
    except OSError as error:
        log.warning("no metrics and no facts: port %d can't be opened: %s", port, error)
        return
    threading.Thread(target=server.serve_forever, daemon=True, name="metrics").start()
    log.info("metrics and facts on port %d", port)
