"""What it costs the operator to follow many running folds, and a trainer to be followed.

The operator's part: its own process beside a real API server, with pods whose facts are those of real trainers,
served from addresses of loopback. The trainer's part: the time in which a scrape, and the setting of the metrics after
an epoch, keep Python from anything else, against the epochs in which they happen. Run it by `make bench-scraping`.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import generate_latest
from rich.progress import Progress, track

from hack.benchmarks.bench_operator import Row, show
from hack.localcluster import Cluster
from hack.processes import cpu_seconds
from nnunet_api.contract import METRICS_PORT
from nnunet_api.facts import FACTS_TYPE, EarlyStopFacts, FoldFacts, ServedFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.run.metrics import FoldMetrics, Metric
from tests.integration.conftest import install_crds, make_namespace
from tests.support.api import Api, wait_for
from tests.support.builders import training
from tests.support.kubelet import Kubelet, contract_of
from tests.support.made_contracts import contract
from tests.support.process import OperatorProcess

FOLDS = 5
POLL_SECONDS = 15.0
EPOCH_SECONDS = 60.0
"""A short epoch of 3d_fullres on a fast GPU; with longer ones less is written and less is lost."""
CORE_SHARE = 0.20
TRAINER_SHARE = 0.001


class Trainers:
    """The facts of many trainers, each on its own address; epochs go by as time does."""

    def __init__(self) -> None:
        self.folds: dict[str, tuple[str, str]] = {}
        """By address: UID of the training, and fold."""
        began, trainers = time.monotonic(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                uid, fold = trainers.folds[self.headers["Host"].split(":")[0]]
                epoch = int((time.monotonic() - began) / EPOCH_SECONDS)
                body = ServedFacts(uid=uid, facts=facts(epoch, fold)).to_body()
                self.send_response(200)
                self.send_header("Content-Type", FACTS_TYPE)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("0.0.0.0", METRICS_PORT), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def set_details(metrics: FoldMetrics) -> None:
    """Set what is not part of the facts."""
    metrics.set_pseudo_dice([f"class {number}" for number in range(3)], [0.8, 0.7, 0.6])
    metrics.set(Metric.EPOCHS_SINCE_IMPROVEMENT, 0)
    metrics.set(Metric.CHECKPOINT_TIMESTAMP, time.time() - time.time() % EPOCH_SECONDS)


def facts(epoch: int, fold: str = "0") -> FoldFacts:
    """Return the state of a fold after so many epochs."""
    return FoldFacts(
        fold=fold,
        epoch=epoch,
        epochs_target=1000,
        checkpoint_epoch=epoch,
        attempts=1,
        training_loss=-0.7 - epoch / 1000,
        validation_loss=-0.6 - epoch / 1000,
        ema_pseudo_dice=0.7 + epoch / 10000,
        best_ema_pseudo_dice=0.7 + epoch / 10000,
        learning_rate=0.01,
        early_stopping=EarlyStopFacts(state=EarlyStoppingState.WATCHING),
        held_seconds=60.0 * epoch,
        lost_seconds=0.0,
        epoch_seconds=EPOCH_SECONDS,
        last_epoch_time=datetime.fromtimestamp(time.time() - time.time() % EPOCH_SECONDS, UTC),
        median_epoch_seconds=EPOCH_SECONDS,
    )


def start_trainings(api: Api, namespace: str, trainers: Trainers, number: int) -> None:
    """Bring so many trainings to where all their folds run."""
    kubelet = Kubelet(api, namespace)

    def start(index: int) -> None:
        name = f"t-{index}"
        api.create("nnunettrainings", training(namespace, name, folds=list(range(FOLDS)), schedule={}))
        kubelet.end(kubelet.pod(name, "plan"))
        for fold in range(FOLDS):
            pod = kubelet.pod(name, "fold", str(fold))
            address = f"127.1.{index}.{fold + 1}"
            trainers.folds[address] = contract_of(pod).uid, str(fold)
            kubelet.run(pod, address)

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(start, index) for index in range(number)]
        for job in track(jobs, "starting the trainings"):
            job.result()


def operator_rows(pods: int, seconds: float) -> list[Row]:
    """Measure the operator's CPU time while it follows so many pods."""
    with Cluster(name="bench", control_plane_only=True) as cluster, tempfile.TemporaryDirectory() as folder:
        api = Api(cluster.kubeconfig)
        install_crds(api)
        log = Path(folder) / "operator.log"
        operator = OperatorProcess(cluster.kubeconfig, log, progress_poll_seconds=POLL_SECONDS, log_level="WARNING")
        operator.start()
        trainers = Trainers()
        try:
            start_trainings(api, make_namespace(api), trainers, pods // FOLDS)
            ok = 'nnunet_operator_scrapes_total{result="ok"}'
            wait_for("a first answer of all", lambda: operator.metrics().get(ok, 0) >= pods, 120, operator.tail)
            time.sleep(2 * POLL_SECONDS)
            before, used, wrote = operator.metrics(), cpu_seconds(operator.pid), api.writes()
            with Progress() as progress:
                for _ in progress.track(range(int(seconds)), description="following them"):
                    time.sleep(1)
            after = operator.metrics()
            cpu, writes = cpu_seconds(operator.pid) - used, api.writes() - wrote
        except BaseException:
            print(operator.tail(), file=sys.stderr)
            raise
        finally:
            operator.close()
            trainers.close()
    scrapes = after[ok] - before[ok]
    wanted = pods * seconds / POLL_SECONDS
    share = cpu / seconds
    asked, ratio = f"scrapes that {pods} pods answered in {seconds:.0f} s", scrapes / wanted
    return [
        Row(asked, "", f"{scrapes:.0f}", f"{ratio:.2f}", ">= 0.95", ratio >= 0.95),
        Row("operator's CPU, share of a core", "", f"{share:.3f}", "", f"<= {CORE_SHARE}", share <= CORE_SHARE),
        Row("writes of statuses, a minute", "", f"{writes / seconds * 60:.0f}", "", ""),
    ]


def trainer_rows(rounds: int = 200) -> list[Row]:
    """Measure what an epoch's metrics and the scrapes of an epoch cost the trainer's process."""
    metrics = FoldMetrics(contract(), "0", "nnUNetPlans")
    setting, scraping, answering = [], [], []
    for number in range(rounds):
        began = time.thread_time()
        metrics.set_facts(facts(number))
        set_details(metrics)
        metrics.set_volume("results", Path.cwd())
        metrics.observe_epoch(EPOCH_SECONDS)
        setting.append(time.thread_time() - began)
        began = time.thread_time()
        generate_latest(metrics.registry)
        scraping.append(time.thread_time() - began)
        began = time.thread_time()
        ServedFacts(uid="5b3c", facts=facts(number)).to_body()
        answering.append(time.thread_time() - began)
    epoch, scrape, answer = map(statistics.median, (setting, scraping, answering))
    # The operator and a Prometheus, both every 15 s.
    share = (epoch + EPOCH_SECONDS / POLL_SECONDS * (scrape + answer)) / EPOCH_SECONDS
    return [
        Row("setting the metrics after an epoch, ms", "", f"{epoch * 1000:.2f}", "", ""),
        Row("answering one scrape, ms", "", f"{scrape * 1000:.2f}", "", ""),
        Row("answering the operator, ms", "", f"{answer * 1000:.2f}", "", ""),
        Row(
            f"share of an epoch of {EPOCH_SECONDS:.0f} s, Prometheus and the operator",
            "",
            f"{share:.5f}",
            "",
            f"<= {TRAINER_SHARE}",
            share <= TRAINER_SHARE,
        ),
    ]


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return 1 where a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=500, help="pods that train (a multiple of 5)")
    parser.add_argument("--seconds", type=float, default=120, help="how long the operator is measured")
    arguments = parser.parse_args(argv)
    rows = [*trainer_rows(), *operator_rows(arguments.pods, arguments.seconds)]
    show(rows)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
