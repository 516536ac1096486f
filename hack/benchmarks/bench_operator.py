"""The operator against bare Jobs on one API server: latency, throughput, writes, CPU of both, memory.

A bare Job is what anybody pays who runs something on Kubernetes; the ratio to it holds on other machines, too. Bare
Jobs and trainings alternate, so that both meet the same load. The admission policies are those of an installation. Run
it by `make bench-operator`.
"""

import argparse
import asyncio
import json
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from hack.benchmarks.api_server import install_policies, pid_of_api_server
from hack.benchmarks.progress import told
from hack.localcluster import Cluster
from hack.processes import cpu_seconds, rss_mib
from nnunet_api.labels import TRAINING_LABEL
from tests.integration.conftest import install_crds, make_namespace
from tests.support.api import Api, Object, wait_for
from tests.support.builders import training
from tests.support.process import OperatorProcess

SETTLE_SECONDS = 3.0
"""After the last Pod, until nothing more is written."""
REST_SECONDS = 0.7
"""After the Pod of one, until its statuses and Events are written: the next one must not pay for them."""
CONCURRENCY = 8
"""Clients that create many objects at once."""
MORE_WRITES, MEMORY_MIB = 4, 110
"""Budgets: writes of a training more than of a bare Job, and the operator's memory after 300 at once (decision 16)."""
CPU_RATIO, CREATE_RATIO = 5.0, 6.5
"""Of the API server's CPU time, and of the median time of a request that creates one, for many trainings at once
against as many bare Jobs (docs/decisions/0016)."""


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    what: str
    bare: str
    operator: str
    ratio: str
    budget: str
    met: bool | None = None


class Watch:
    """Notes when objects of a kind first appear."""

    def __init__(self) -> None:
        self.seen: dict[str, float] = {}
        self._changed = asyncio.Event()

    async def run(self, session: aiohttp.ClientSession, path: str, ready: asyncio.Event) -> None:
        """Watch until cancelled. Names are those of the Jobs; a Pod counts for its Job."""
        async with session.get(path) as answer:
            version = (await answer.json())["metadata"]["resourceVersion"]
        limit = aiohttp.ClientTimeout(total=None)
        query = {"watch": "true", "resourceVersion": version}
        async with session.get(path, params=query, timeout=limit) as stream:
            ready.set()
            async for line in stream.content:
                event = json.loads(line)
                metadata = event["object"]["metadata"]
                owner = next((o["name"] for o in metadata.get("ownerReferences", []) if o["kind"] == "Job"), "")
                self.seen.setdefault(owner or metadata["name"], time.perf_counter())
                self._changed.set()

    async def all_of(self, names: list[str], seconds: float = 120) -> float:
        """Wait until all have appeared and return when the last one did."""
        async with asyncio.timeout(seconds):
            while not all(name in self.seen for name in names):
                self._changed.clear()
                await self._changed.wait()
        return max(self.seen[name] for name in names)


class Bench:
    """One namespace, in which bare Jobs and trainings are created by turns."""

    def __init__(
        self, api: Api, server: int, operator: OperatorProcess, namespace: str, session: aiohttp.ClientSession
    ) -> None:
        """`server` is the process ID of the API server."""
        self.api = api
        self.server = server
        self.operator = operator
        self.namespace = namespace
        self._session = session
        self.pods, self.jobs = Watch(), Watch()

    @asynccontextmanager
    async def watching(self) -> Any:
        """Watch Jobs and Pods of the namespace."""
        tasks = []
        for kind, watch in (("jobs", self.jobs), ("pods", self.pods)):
            ready = asyncio.Event()
            path = self.api.path(kind, self.namespace)
            tasks.append(asyncio.create_task(watch.run(self._session, path, ready)))
            await ready.wait()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def create(self, kind: str, body: Object) -> float:
        """Create an object and return how long it took, in seconds."""
        began = time.perf_counter()
        async with self._session.post(self.api.path(kind, self.namespace), json=body) as answer:
            text = await answer.text()
            assert answer.status == 201, text
        return time.perf_counter() - began

    async def create_all(self, kind: str, bodies: list[Object]) -> list[float]:
        """Create many objects as fast as the API server takes them, and return how long each took, in seconds."""
        waiting = iter(bodies)

        async def creator() -> list[float]:
            return [await self.create(kind, body) for body in waiting]

        taken = await asyncio.gather(*(creator() for _ in range(CONCURRENCY)))
        return [seconds for one in taken for seconds in one]

    def job(self, name: str) -> Object:
        """Return a bare Job of the same form as a planning Job of the operator."""
        pod = {
            "restartPolicy": "Never",
            "containers": [{"name": "trainer", "image": "registry.example/trainer:1", "command": ["nnunet-trainer"]}],
        }
        body = {"completions": 1, "parallelism": 1, "backoffLimit": 3, "template": {"spec": pod}}
        return {"metadata": {"name": name, "namespace": self.namespace}, "spec": body}

    def training(self, name: str, **spec: Any) -> Object:
        """Return a training."""
        return training(self.namespace, name, schedule={}, **spec)

    async def delete_all(self) -> None:
        """Delete all trainings, Jobs and Pods, and wait until they are gone."""
        for kind in ("nnunettrainings", "jobs"):
            body = {"propagationPolicy": "Background"}
            # Thousands take longer than the API server gives one request: it says so, and the next goes on.
            status = 504
            while status == 504:
                async with self._session.delete(self.api.path(kind, self.namespace), json=body) as answer:
                    status = answer.status
                    assert status in (200, 504), await answer.text()
        for _ in range(600):
            async with self._session.get(self.api.path("pods", self.namespace, limit="1")) as answer:
                if not (await answer.json())["items"]:
                    break
            await asyncio.sleep(0.2)
        await asyncio.sleep(SETTLE_SECONDS)


async def one_at_a_time(bench: Bench, number: int) -> list[Row]:
    """Measure creation -> Pod by turns, and the writes that one object causes."""
    bare, ours, bare_writes, our_writes = [], [], [], []
    await _to_pod(bench, "nnunettrainings", bench.training("first"), "first-plan")  # warms all caches up
    with told(f"{number} bare Jobs and trainings by turns, one at a time"):
        for turn in range(number):
            bare.append(await _to_pod(bench, "jobs", bench.job(f"bare-{turn}"), f"bare-{turn}"))
            await asyncio.sleep(REST_SECONDS)
            ours.append(await _to_pod(bench, "nnunettrainings", bench.training(f"one-{turn}"), f"one-{turn}-plan"))
            await asyncio.sleep(REST_SECONDS)
    for turn in range(5):
        with told(f"writes of one, round {turn + 1} of 5"):
            name = f"counted-{turn}"
            bare_writes.append(await _writes(bench, "jobs", bench.job(name), name))
            name = f"counted-t-{turn}"
            our_writes.append(await _writes(bench, "nnunettrainings", bench.training(name), f"{name}-plan"))
    p50 = statistics.median(bare), statistics.median(ours)
    p99 = _p99(bare), _p99(ours)
    count = statistics.median(bare_writes), statistics.median(our_writes)
    # Creating the training, its status, and two Events: what it waits for, and the advice on its planner.
    extra, met = f"+{count[1] - count[0]:.0f}", count[1] - count[0] <= MORE_WRITES
    return [
        Row("apply -> Pod, p50, ms", *_ms(*p50), "<= 3", p50[1] <= 3 * p50[0]),
        Row("apply -> Pod, p99, ms", *_ms(*p99), ""),
        Row(
            "API writes by all for one, until 3 s after",
            f"{count[0]:.0f}",
            f"{count[1]:.0f}",
            extra,
            f"<= +{MORE_WRITES}",
            met,
        ),
    ]


async def _to_pod(bench: Bench, kind: str, body: Object, job: str) -> float:
    began = time.perf_counter()
    await bench.create(kind, body)
    return await bench.pods.all_of([job]) - began


async def _writes(bench: Bench, kind: str, body: Object, job: str) -> float:
    # Pods that nobody can place make the scheduler write from time to time: none may be left.
    await bench.delete_all()
    before = bench.api.writes()
    await _to_pod(bench, kind, body, job)
    await asyncio.sleep(SETTLE_SECONDS)
    return bench.api.writes() - before


@dataclass(frozen=True)
class Burst:
    """What became of many objects that were created at once. Times in seconds."""

    created: float
    """Until all exist."""
    jobs: float
    """Until their Jobs do."""
    create: float
    """Median time of a request."""
    server_cpu: float
    """CPU time of the API server, until nothing more is written."""
    operator_cpu: float
    writes: float


async def burst(bench: Bench, kind: str, bodies: list[Object], jobs: list[str]) -> Burst:
    """Create many objects at once, wait for their Jobs and Pods and until all is written, and delete them."""
    server, operator, wrote = cpu_seconds(bench.server), cpu_seconds(bench.operator.pid), bench.api.writes()
    began = time.perf_counter()
    taken = await bench.create_all(kind, bodies)
    created = time.perf_counter() - began
    all_jobs = await bench.jobs.all_of(jobs) - began
    await bench.pods.all_of(jobs)
    await asyncio.sleep(3 * SETTLE_SECONDS)
    server, operator = cpu_seconds(bench.server) - server, cpu_seconds(bench.operator.pid) - operator
    return Burst(created, all_jobs, statistics.median(taken), server, operator, bench.api.writes() - wrote)


async def many_at_once(bench: Bench, number: int, rounds: int) -> list[Row]:
    """Measure how long it takes until all Jobs exist and what it costs the API server, by turns."""
    bare, ours, memory = [], [], 0.0
    for turn in range(rounds):
        with told(f"{number} bare Jobs at once, round {turn + 1} of {rounds}"):
            names = [f"many-bare-{turn}-{i}" for i in range(number)]
            bare.append(await burst(bench, "jobs", [bench.job(name) for name in names], names))
            await bench.delete_all()
        with told(f"{number} trainings at once, round {turn + 1} of {rounds}"):
            names = [f"many-{turn}-{i}" for i in range(number)]
            jobs = [f"{name}-plan" for name in names]
            ours.append(await burst(bench, "nnunettrainings", [bench.training(name) for name in names], jobs))
            memory = max(memory, rss_mib(bench.operator.pid))
            await bench.delete_all()

    def median(bursts: list[Burst], figure: str, scale: float = 1) -> float:
        return scale * statistics.median(float(getattr(one, figure)) for one in bursts)

    def compared(words: str, figure: str, scale: float, most: float) -> Row:
        pairs = zip(ours, bare, strict=True)
        ratio = statistics.median(float(getattr(mine, figure)) / getattr(theirs, figure) for mine, theirs in pairs)
        theirs, mine = (f"{median(side, figure, scale):.1f}" for side in (bare, ours))
        return Row(f"{what}: {words}", theirs, mine, f"{ratio:.2f}", f"<= {most}", ratio <= most)

    what = f"{number} at once"
    until = statistics.median(one.jobs / one.created for one in ours)
    jobs_exist = f"{median(ours, 'jobs'):.2f}"
    return [
        Row(f"{what}: bare Jobs exist, s", f"{median(bare, 'jobs'):.2f}", "", "", ""),
        Row(f"{what}: trainings exist, s", "", f"{median(ours, 'created'):.2f}", "1", ""),
        Row(f"{what}: all their Jobs exist, s", "", jobs_exist, f"{until:.2f}", "<= 1.5", until <= 1.5),
        compared("API server's CPU, ms each", "server_cpu", 1000 / number, CPU_RATIO),
        compared("create call, p50, ms", "create", 1000, CREATE_RATIO),
        compared("API writes for each", "writes", 1 / number, 2.5),
        Row(f"{what}: operator's CPU, s", "", f"{median(ours, 'operator_cpu'):.2f}", "", ""),
        Row(f"{what}: operator's memory, MiB", "", f"{memory:.0f}", "", f"<= {MEMORY_MIB}", memory <= MEMORY_MIB),
    ]


async def at_rest(bench: Bench, seconds: float) -> list[Row]:
    """Count writes while 50 finished and 2 suspended trainings are there."""
    await bench.create_all("nnunettrainings", [bench.training(f"done-{i}") for i in range(50)])
    await bench.create_all("nnunettrainings", [bench.training(f"paused-{i}", suspend=True) for i in range(2)])
    await bench.pods.all_of([f"done-{i}-plan" for i in range(50)])
    for pod in bench.api.list("pods", bench.namespace, labelSelector=TRAINING_LABEL):
        ended = {"exitCode": 65, "reason": "Error", "message": '{"message": "case 3 has no label"}'}
        container = {"name": "trainer", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": "Failed", "containerStatuses": [{**container, "state": {"terminated": ended}}]}
        bench.api.merge("pods", bench.namespace, pod["metadata"]["name"], {"status": status}, sub="status")
    wait_for("50 failed trainings", lambda: phases(bench).count("Failed") == 50, 60)
    wait_for("2 suspended trainings", lambda: phases(bench).count("Suspended") == 2, 60)
    await asyncio.sleep(4 * SETTLE_SECONDS)
    before, used = bench.api.writes(), cpu_seconds(bench.operator.pid)
    await asyncio.sleep(seconds)
    written, cpu = bench.api.writes() - before, cpu_seconds(bench.operator.pid) - used
    await bench.delete_all()
    return [
        Row(f"writes in {seconds:.0f} s at rest", "", f"{written:.0f}", "", "0", written == 0),
        Row("CPU at rest, %", "", f"{100 * cpu / seconds:.1f}", "", ""),
    ]


async def thousands(bench: Bench, number: int) -> list[Row]:
    """Measure the memory with very many trainings."""
    await bench.create_all("nnunettrainings", [bench.training(f"t-{i}", suspend=True) for i in range(number)])
    wait_for(f"{number} suspended trainings", lambda: phases(bench).count("Suspended") == number, 300)
    await asyncio.sleep(SETTLE_SECONDS)
    grown = rss_mib(bench.operator.pid)
    bench.operator.stop()
    bench.operator.start()
    await asyncio.sleep(30)
    restarted = rss_mib(bench.operator.pid)
    what = f"{number} trainings: memory"
    return [
        Row(f"{what}, MiB", "", f"{grown:.0f}", "", "<= 200", grown <= 200),
        Row(f"{what} after a restart, MiB", "", f"{restarted:.0f}", "", "<= 200", restarted <= 200),
    ]


def phases(bench: Bench) -> list[str]:
    """Return the phases of all trainings."""
    return [item.get("status", {}).get("phase", "") for item in bench.api.list("nnunettrainings", bench.namespace)]


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def _ms(bare: float, ours: float) -> tuple[str, str, str]:
    return f"{bare * 1000:.1f}", f"{ours * 1000:.1f}", f"{ours / bare:.2f}"


async def run(api: Api, server: int, operator: OperatorProcess, arguments: argparse.Namespace) -> list[Row]:
    """Run all parts."""
    context = ssl.create_default_context(cafile=api.ca)
    context.load_cert_chain(api.certificate, api.key)
    connector = aiohttp.TCPConnector(ssl=context, limit=CONCURRENCY + 4)
    rows: list[Row] = []
    async with aiohttp.ClientSession(api.server, connector=connector, read_bufsize=2**22) as session:
        bench = Bench(api, server, operator, make_namespace(api), session)
        async with bench.watching():
            rows += await one_at_a_time(bench, arguments.singles)
            await bench.delete_all()
            rows += await many_at_once(bench, arguments.burst, arguments.rounds)
            with told("50 finished and 2 suspended trainings, then at rest"):
                rows += await at_rest(bench, arguments.rest_seconds)
            if arguments.many:
                with told(f"{arguments.many} trainings, then a restart"):
                    rows += await thousands(bench, arguments.many)
    return rows


def show(rows: list[Row]) -> None:
    """Print the report."""
    table = Table("", "bare Job", "operator", "ratio", "budget", "")
    words: dict[bool | None, str] = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}
    for row in rows:
        table.add_row(row.what, row.bare, row.operator, row.ratio, row.budget, words[row.met])
    Console(width=110).print(table)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return 1 where a budget is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    number: Callable[..., Any] = parser.add_argument
    number("--singles", type=int, default=40, help="trainings that are applied one at a time")
    number("--burst", type=int, default=300, help="trainings that are applied at once")
    number("--rounds", type=int, default=3, help="repetitions of that")
    number("--rest-seconds", type=float, default=60, help="length of the rest in which no write is allowed")
    number("--many", type=int, default=5000, help="trainings for the last measurement of memory; 0 leaves it out")
    arguments = parser.parse_args(argv)
    with Cluster(name="bench", control_plane_only=True) as cluster, tempfile.TemporaryDirectory() as folder:
        api = Api(cluster.kubeconfig)
        install_crds(api)
        install_policies(api)
        operator = OperatorProcess(cluster.kubeconfig, Path(folder) / "operator.log", log_level="WARNING")
        operator.start()
        try:
            rows = asyncio.run(run(api, pid_of_api_server(cluster), operator, arguments))
        except BaseException:
            print(operator.tail(), file=sys.stderr)
            raise
        finally:
            operator.close()
    show(rows)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
