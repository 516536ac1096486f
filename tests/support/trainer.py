"""Plays the trainer, as far as the operator can see one that runs: its metrics."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nnunet_api.contract import METRICS_PORT, Metric


class Trainer:
    """The metrics of fold 0's trainer, on an address of loopback."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.text = ""
        self.asked: list[float] = []
        trainer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                trainer.asked.append(time.monotonic())
                self.send_response(200)
                self.end_headers()
                self.wfile.write(trainer.text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((address, METRICS_PORT), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def says(self, namespace: str, epoch: int, state: str = "", **values: float) -> None:
        """Report an epoch, the state of the early-stopping rule, and further values by the names in `Metric`."""
        labels = f'namespace="{namespace}",training="hippo",fold="0"'
        series = {
            Metric.EPOCH: epoch,
            Metric.EPOCHS_TARGET: 10,
            Metric.ATTEMPTS: 1,
            Metric.EMA_PSEUDO_DICE: 0.7,
            **{getattr(Metric, name): value for name, value in values.items()},
        }
        self.text = "".join(f"{name}{{{labels}}} {value}\n" for name, value in series.items())
        if state:
            self.text += f'{Metric.EARLY_STOPPING_STATE}{{{labels},state="{state}"}} 1\n'

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
