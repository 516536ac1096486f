"""A node whose kubelet serves logs and nothing else, so that the API server has something to pass on."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.support.api import Api

NODE = "logs-node"
SILENCE_SECONDS = 250.0
"""Time after which a followed log ends in which nothing is written: longer than any test."""


class LogServer:
    """Serves the lines that are given for each pod; a followed log goes on until it is closed."""

    def __init__(self) -> None:
        self.lines: dict[str, list[str]] = {}
        self.closed: set[str] = set()
        self.changed = threading.Condition()

    def say(self, pod: str, *lines: str) -> None:
        """Let a pod write lines."""
        with self.changed:
            self.lines.setdefault(pod, []).extend(lines)
            self.changed.notify_all()

    def close(self, pod: str) -> None:
        """Let a pod's container end."""
        with self.changed:
            self.closed.add(pod)
            self.changed.notify_all()

    def read(self, pod: str, follow: bool, tail: int | None) -> Iterator[str]:
        """Yield the lines of a pod."""
        with self.changed:
            begin = max(0, len(self.lines[pod]) - tail) if tail is not None else 0
        while True:
            with self.changed:
                new = self.lines[pod][begin:]
                if not new:
                    if not follow or pod in self.closed or not self.changed.wait(SILENCE_SECONDS):
                        return
                    continue
            yield from new
            begin += len(new)


@contextmanager
def log_node(api: Api, cluster: Path) -> Iterator[LogServer]:
    """Run a node; `cluster` is the folder of the control plane, whose certificates it borrows."""
    logs = LogServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = parse_qs(asked.query)
            _, _, _, pod, container = asked.path.split("/")
            if container != "trainer" or pod not in logs.lines:
                self.send_error(404, "no such container")
                return
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            tail = query.get("tailLines")
            for line in logs.read(pod, query.get("follow") == ["true"], int(tail[0]) if tail else None):
                data = f"{line}\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cluster / "pki" / "apiserver.crt", cluster / "pki" / "apiserver.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    api.create("nodes", {"metadata": {"name": NODE}, "spec": {"unschedulable": True}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": server.server_port}},
    }
    api.merge("nodes", "", NODE, {"status": status}, "status")
    try:
        yield logs
    finally:
        api.delete("nodes", "", NODE)
        server.shutdown()
