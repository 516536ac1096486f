"""Discovery of pods for Debian's Prometheus, which is built without that of Kubernetes.

Files take the place of the API, with the same `__meta_kubernetes_*` labels, so that the relabelling of a configuration
is tried as it stands (https://prometheus.io/docs/prometheus/latest/configuration/configuration/#pod).
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Pod = Mapping[str, Any]
ListPods = Callable[[str], list[Any]]
"""Returns the pods of all namespaces that a label selector chooses."""

INTERVAL_SECONDS = 2.0


def target_groups(pod: Pod) -> Iterator[dict[str, Any]]:
    """Yield what the role `pod` finds of a pod: a target for each port that a container declares."""
    metadata, status = pod["metadata"], pod.get("status", {})
    address = status.get("podIP")
    if not address:
        return
    of_pod = {
        "__meta_kubernetes_namespace": metadata["namespace"],
        "__meta_kubernetes_pod_name": metadata["name"],
        "__meta_kubernetes_pod_ip": address,
        "__meta_kubernetes_pod_phase": status.get("phase", ""),
        **_named("__meta_kubernetes_pod_label_", metadata.get("labels") or {}),
        **_named("__meta_kubernetes_pod_annotation_", metadata.get("annotations") or {}),
    }
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", []):
            labels = {
                **of_pod,
                "__meta_kubernetes_pod_container_name": container["name"],
                "__meta_kubernetes_pod_container_port_name": port.get("name", ""),
                "__meta_kubernetes_pod_container_port_number": str(port["containerPort"]),
            }
            yield {"targets": [f"{address}:{port['containerPort']}"], "labels": labels}


def _named(prefix: str, values: Mapping[str, str]) -> dict[str, str]:
    return {prefix + re.sub(r"[^a-zA-Z0-9_]", "_", name): value for name, value in values.items()}


class Discovery:
    """A context manager: keeps the files in step with the pods, from a thread."""

    def __init__(self, list_pods: ListPods, folder: Path, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._list_pods = list_pods
        self._folder = folder
        self._interval_seconds = interval_seconds
        self._selectors: dict[Path, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="discovery of pods")

    def in_place_of(self, kubernetes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the file discovery that finds what an entry of kubernetes_sd_configs would find."""
        assert kubernetes["role"] == "pod", f"role {kubernetes['role']} is not played here"
        file = self._folder / f"pods-{len(self._selectors)}.json"
        self._selectors[file] = ",".join(selector["label"] for selector in kubernetes.get("selectors", []))
        file.write_text("[]")
        return {"files": [str(file)], "refresh_interval": f"{INTERVAL_SECONDS:.0f}s"}

    def __enter__(self) -> "Discovery":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            for file, selector in self._selectors.items():
                try:
                    pods = self._list_pods(selector)
                except Exception:
                    continue  # the API server is away for a while in some tests: what is known stays
                new = file.with_suffix(".new")
                new.write_text(json.dumps([group for pod in pods for group in target_groups(pod)]))
                new.rename(file)
            self._stop.wait(self._interval_seconds)
