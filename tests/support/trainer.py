"""Plays the trainer, as far as the operator can see one that runs: the facts of its fold."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nnunet_api.contract import METRICS_PORT, RunContract
from nnunet_api.facts import FACTS_PATH, FACTS_TYPE, FoldFacts, ServedFacts

contracts: dict[str, RunContract] = {}
"""By IP address: what the pod there was told, as the kubelet last reported one to run there."""


class Trainer:
    """Fold 0's trainer, on an address of loopback."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answer: bytes | FoldFacts = b""
        """What it says; bytes for what no trainer of this release would."""
        self.content_type = FACTS_TYPE
        self.asked: list[float] = []
        trainer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                trainer.asked.append(time.monotonic())
                assert self.path == FACTS_PATH, self.path
                self.send_response(200)
                self.send_header("Content-Type", trainer.content_type)
                self.end_headers()
                self.wfile.write(trainer.body())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((address, METRICS_PORT), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def says(self, epoch: int, **facts: Any) -> None:
        """Report an epoch of ten, and further values by the names in `FoldFacts`."""
        told = {"attempts": 1, "ema_pseudo_dice": 0.7, "nonfinite_loss_epochs": 0, **facts}
        self.answer = FoldFacts.model_validate({"fold": "0", "epoch": epoch, "epochs_target": 10, **told})

    def is_older(self) -> None:
        """Answer from now on as a trainer that knows no facts does: with its metrics, whatever the path."""
        self.answer, self.content_type = b'nnunet_epoch{fold="0"} 5.0\n', "text/plain; version=0.0.4; charset=utf-8"

    def body(self) -> bytes:
        """Return the answer as it is sent."""
        if isinstance(self.answer, bytes):
            return self.answer
        return ServedFacts(uid=contracts[self.address].uid, facts=self.answer).to_body()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
