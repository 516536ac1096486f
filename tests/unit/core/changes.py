"""What others, such as webhooks, change in pods of a run: what clusters do to all pods, and what runs other code."""

from collections.abc import Callable
from typing import Any

from nnunet_operator.kube.objects import Manifest

DIGEST = f"sha256:{'0' * 64}"

Change = Callable[[Manifest], object]


def trainer_of(pod: Manifest) -> Manifest:
    found: Manifest = pod["spec"]["containers"][0]
    return found


def sets(name: str, value: str = "/nnunet/results/x") -> Change:
    return lambda pod: trainer_of(pod)["env"].append({"name": name, "value": value})


def mounts(path: str) -> Change:
    return lambda pod: trainer_of(pod)["volumeMounts"].append({"name": "theirs", "mountPath": path})


def has(**fields: Any) -> Change:
    return lambda pod: trainer_of(pod).update(fields)


def sidecar(kind: str = "containers", **mount: Any) -> Change:
    """Another container, with what it mounts."""
    container = {"name": "helper", "volumeMounts": [mount] if mount else []}
    return lambda pod: pod["spec"].setdefault(kind, []).append(container)


def both(*changes: Change) -> Change:
    return lambda pod: [change(pod) for change in changes]


def volume(name: str, **source: Any) -> Change:
    return lambda pod: pod["spec"].setdefault("volumes", []).append({"name": name, **source})


def at(name: str) -> dict[str, Any]:
    return {"name": name, "mountPath": "/there"}


SECRETS = {"name": "vault-secrets", "mountPath": "/vault/secrets"}
CLAIM = {"persistentVolumeClaim": {"claimName": "nnunet-results"}}
LIBRARY = {"name": "LD_PRELOAD", "value": "x.so"}
HONEST: dict[str, Change] = {
    "a service mesh": lambda pod: pod["spec"]["containers"].insert(0, {"name": "istio-proxy", "env": [LIBRARY]}),
    "its init container": lambda pod: pod["spec"].update(initContainers=[{"name": "istio-init", "command": ["sh"]}]),
    "a keeper of secrets": both(
        lambda pod: trainer_of(pod)["volumeMounts"].append(SECRETS), volume("vault-secrets"), sidecar(**SECRETS)
    ),
    "what collects logs": sidecar(name="results", mountPath="/logs", readOnly=True),
    "what scans a volume that nobody can write": both(
        volume("results", **CLAIM),
        volume("mine", persistentVolumeClaim={"claimName": "nnunet-results", "readOnly": True}),
        sidecar(name="mine", mountPath="/scan"),
    ),
    "a claim of its own": both(
        volume("own", persistentVolumeClaim={"claimName": "own"}), sidecar(name="own", mountPath="/own")
    ),
    "one that was attached to the network": lambda pod: pod["spec"].update(ephemeralContainers=[{"name": "debugger"}]),
    "processes shared with nobody": lambda pod: pod["spec"].update(shareProcessNamespace=True),
    "where the API server is": sets("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
    "a proxy": sets("HTTPS_PROXY", "http://proxy.example:3128"),
    "no devices": sets("NVIDIA_VISIBLE_DEVICES", "void"),
    "what the driver shows": sets("NVIDIA_DRIVER_CAPABILITIES", "compute,utility"),
    "which device": sets("CUDA_VISIBLE_DEVICES", "0"),
    "a cloud's identity": sets(
        "AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
    ),
    "its token": mounts("/var/run/secrets/eks.amazonaws.com/serviceaccount"),
    "a driver": mounts("/usr/local/nvidia"),
    "certificates": mounts("/etc/ssl/certs"),
    "telemetry": sets("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel.example:4317"),
    "an environment": sets("ENV", "production"),
    "a log as it comes": sets("PYTHONUNBUFFERED", "1"),
    "a known hash seed": sets("PYTHONHASHSEED", "1"),
    "a bundle of certificates": mounts("/usr/lib/ssl/cert.pem"),
    "languages": mounts("/usr/lib/locale"),
    "the digest of its tag": lambda pod: has(image=f"{trainer_of(pod)['image']}@{DIGEST}")(pod),
    "time before the end": has(lifecycle={"preStop": {"sleep": {"seconds": 5}}}),
    "a probe": has(livenessProbe={"httpGet": {"path": "/healthz", "port": 8080}}),
    "a memory limit": has(resources={"limits": {"memory": "1Gi"}}),
    "another scheduler": lambda pod: pod["spec"].update(schedulerName="gpu-scheduler", runtimeClassName="nvidia"),
}
OTHERS: dict[str, tuple[Change, str]] = {
    "a library": (sets("LD_PRELOAD"), "LD_PRELOAD"),
    "modules": (sets("PYTHONPATH"), "PYTHONPATH"),
    "a home": (sets("HOME"), "HOME"),
    "trainer classes": (sets("nnUNet_extTrainer"), "nnUNet_extTrainer"),
    "compiled code": (sets("TORCHINDUCTOR_CACHE_DIR"), "TORCHINDUCTOR_CACHE_DIR"),
    "an assembler": (sets("TRITON_PTXAS_PATH"), "TRITON_PTXAS_PATH"),
    "a compiler": (sets("CXX"), "CXX"),
    "another contract": (sets("NNUNET_RUN_CONTRACT", "{}"), "NNUNET_RUN_CONTRACT"),
    "another folder of data": (sets("nnUNet_raw"), "nnUNet_raw"),
    "variables of a ConfigMap": (has(envFrom=[{"configMapRef": {"name": "more"}}]), "envFrom"),
    "a command": (has(command=["/bin/sh", "-c", "x"]), "the command"),
    "no command": (lambda pod: trainer_of(pod).pop("command"), "the command"),
    "arguments": (has(args=["train", "--fold", "1"]), "the command"),
    "a working directory": (has(workingDir="/nnunet/results"), "the working directory"),
    "a hook": (has(lifecycle={"postStart": {"exec": {"command": ["sh"]}}}), "the hook postStart"),
    "a probe": (has(startupProbe={"exec": {"command": ["sh"]}}), "the command of startupProbe"),
    "the program": (mounts("/opt/nnunet/lib/python3.11"), "a volume at /opt/nnunet/lib/python3.11"),
    "all programs": (mounts("/usr/"), "a volume at /usr"),
    "the loader": (mounts("/etc/ld.so.preload"), "a volume at /etc/ld.so.preload"),
    "what Python begins with": (mounts("/etc/python3.13"), "a volume at /etc/python3.13"),
    "which library a name is": (mounts("/etc/alternatives"), "a volume at /etc/alternatives"),
    "data": (mounts("/nnunet/raw/labelsTr"), "a volume at /nnunet/raw/labelsTr"),
    "data by another way": (mounts("/scratch/..//nnunet/raw"), "a volume at /nnunet/raw"),
    "programs by another way": (mounts("/usr/lib/ssl/certs/../../python3"), "a volume at /usr/lib/python3"),
    "the libraries' settings": (mounts("/usr/lib/ssl"), "a volume at /usr/lib/ssl"),
    "the same by their other name": (mounts("/etc/ssl"), "a volume at /etc/ssl"),
    "compiled code in its place": (mounts("/tmp/torchinductor_1000"), "a volume at /tmp/torchinductor_1000"),
    "an image": (has(image="mine:1"), "image mine:1"),
    "a container with the run's folder": (sidecar(**at("results")), "results written by container helper"),
    "one with the data": (sidecar(**at("preprocessed")), "preprocessed written by container helper"),
    "one with compiled code": (sidecar(**at("scratch")), "scratch written by container helper"),
    "one with what processes hand over": (sidecar(**at("shm")), "shm written by container helper"),
    "one that runs before": (sidecar(kind="initContainers", **at("results")), "results written by container helper"),
    "one with the claim by another name": (
        both(volume("results", **CLAIM), volume("mine", **CLAIM), sidecar(**at("mine"))),
        "mine written by container helper",
    ),
    "one that sees the processes": (
        both(sidecar(), lambda pod: pod["spec"].update(shareProcessNamespace=True)),
        "processes shared with container helper",
    ),
    "one that was attached to its processes": (
        lambda pod: pod["spec"].update(ephemeralContainers=[{"name": "debugger", "targetContainerName": "trainer"}]),
        "processes shared with container debugger",
    ),
}  # fmt: skip


def preparing(change: Change) -> Change:
    """Return the same change of the container that makes the folders."""

    def apply(pod: Manifest) -> None:
        (container,) = pod["spec"]["initContainers"]
        change({"spec": {"containers": [container]}})

    return apply


PREPARING: dict[str, tuple[Change, str]] = {
    "a library": (sets("LD_PRELOAD"), "LD_PRELOAD"),
    "an image": (has(image="evil:1"), "image evil:1"),
    "arguments": (has(args=["prepare", "--raw=."]), "the command"),
    "another contract": (sets("NNUNET_RUN_CONTRACT", "{}"), "NNUNET_RUN_CONTRACT"),
    "data": (mounts("/nnunet/claims/raw/imagesTr"), "a volume at /nnunet/claims/raw/imagesTr"),
}
"""What others change in the container that makes the folders, which has all claims as a whole."""
