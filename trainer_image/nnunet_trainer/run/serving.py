"""What a fold's trainer serves, up before torch is imported: metrics for Prometheus, facts for the operator."""

import logging
import os
import threading
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


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
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
