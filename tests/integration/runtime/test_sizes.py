"""How large trainings may be, and that as many of them as somebody likes leave the operator under its memory limit."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from hack.prepare.helm import ROOT
from nnunet_api.bounds import MAX_METADATA, MAX_SPEC, written_size
from nnunet_api.labels import short_name
from tests.integration.conftest import Lab
from tests.support.api import Api, Object, wait_for
from tests.support.builders import training
from tests.support.launch import as_deployed
from tests.support.process import OperatorProcess
from tests.support.sizes import ADMITTED_LARGEST, SMUGGLED_LARGEST

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICY, BINDING = f"{ADMISSION}/validatingadmissionpolicies", f"{ADMISSION}/validatingadmissionpolicybindings"
CLIENTS = 4


def sizes() -> Iterator[tuple[str, Object]]:
    """The chart's admission policy on sizes and its binding, each with its path."""
    for document in yaml.safe_load_all((ROOT / "manifests/policies/admission.yaml").read_text()):
        if document["metadata"]["name"] == "nnunet-sizes":
            yield (BINDING if document["kind"].endswith("Binding") else POLICY), document


def limit_mib() -> int:
    """The memory limit of the operator's container, as the chart sets it."""
    values = yaml.safe_load((ROOT / "charts/nnunet-operator/values.yaml").read_text())
    return int(values["resources"]["limits"]["memory"].removesuffix("Mi"))


def peak_mib(operator: OperatorProcess) -> int:
    """Most memory that the operator has had so far."""
    lines = Path(f"/proc/{operator.pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024


def check_peak(operator: OperatorProcess, count: int) -> None:
    """Hold the memory against what the container may have, with a margin."""
    print(f"\n{count} trainings: at most {peak_mib(operator)} MiB")
    assert peak_mib(operator) < 0.8 * limit_mib(), f"{peak_mib(operator)} MiB with {count} trainings"


def annotated(namespace: str, name: str, size: int) -> Object:
    body = training(namespace, name, suspend=True)
    body["metadata"]["annotations"] = {"note": "x" * size}
    return body


def with_lists(namespace: str, name: str, count: int) -> Object:
    """A training with as many empty lists: of all that takes few characters they take the most memory."""
    return training(namespace, name, suspend=True, podTemplate={"affinity": {"x": [[] for _ in range(count)]}})


def largest(api: Api, namespace: str) -> Object:
    """The training that costs the operator most and is admitted."""
    defaults = api.create("nnunettrainings", with_lists(namespace, "probe", 0), dryRun="All")["spec"]
    room = MAX_SPEC - written_size(defaults) - 100  # the API server writes some numbers with more digits
    body = with_lists(namespace, "largest", room // len("[], "))
    body["metadata"]["annotations"] = {"note": "x" * (MAX_METADATA - 1000)}
    return body


def create_many(api: Api, body: Object, count: int) -> None:
    text = json.dumps(body)

    def create(number: int) -> None:
        made = json.loads(text)
        made["metadata"]["name"] = f"t{number}"
        api.create("nnunettrainings", made)

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(create, range(count)))


@pytest.fixture
def admission(api: Api, namespace: str) -> Iterator[None]:
    """The chart's admission policy on sizes, in force."""
    made = [(path, api.request("POST", path, document)["metadata"]["name"]) for path, document in sizes()]
    too_large = with_lists(namespace, "trial", MAX_SPEC)
    wait_for("the policy to be in force", lambda: "the spec has" in api.refusal("nnunettrainings", too_large))
    yield
    for path, name in made:
        api.request("DELETE", f"{path}/{name}")
    wait_for("the policy to be out of force", lambda: not api.refusal("nnunettrainings", too_large))


@pytest.mark.usefixtures("admission")
def test_what_is_too_large_is_refused_in_words(api: Api, namespace: str) -> None:
    env = [{"name": f"V{number}", "value": "x" * 4000} for number in range(17)]
    for body in (with_lists(namespace, "a", MAX_SPEC // 4), training(namespace, trainer={"env": env})):
        said = api.refusal("nnunettrainings", body)
        assert "characters, may have at most 65536: shorten planning.configurations" in said, said
    said = api.refusal("nnunettrainings", annotated(namespace, "a", MAX_METADATA))
    assert "characters of labels, annotations, finalizers and owners, may have at most 131072" in said, said
    head = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingPolicy"}
    note = {"name": "large", "annotations": {"note": "x" * MAX_METADATA}}
    policy = {**head, "metadata": note, "spec": {"mode": "Audit", "namespaces": ["a"], "rules": {}}}
    assert "may have at most 131072" in api.refusal("nnunettrainingpolicies", policy)
    assert api.refusal("nnunettrainings", largest(api, namespace)) == ""


def test_what_is_too_large_already_may_be_suspended_and_shrink(
    api: Api, namespace: str, request: pytest.FixtureRequest
) -> None:
    body = with_lists(namespace, "old", MAX_SPEC)
    body["metadata"]["annotations"] = {"note": "x" * (MAX_METADATA + 1)}
    body["metadata"]["finalizers"] = ["example.org/hold"]
    body["spec"]["suspend"] = False
    api.create("nnunettrainings", body)
    request.getfixturevalue("admission")
    api.merge("nnunettrainings", namespace, "old", {"metadata": {"finalizers": None}})
    api.merge("nnunettrainings", namespace, "old", {"spec": {"suspend": True, "podTemplate": {"affinity": {"x": []}}}})
    assert api.get("nnunettrainings", namespace, "old")


def reconciled(operator: OperatorProcess) -> float:
    """How often the operator has reconciled a training. Asking the API server for all of them would take it long."""
    series = "nnunet_operator_reconciles_total"
    return sum(value for name, value in operator.metrics().items() if name.startswith(series) and "raining" in name)


def start(start_operator: Callable[..., OperatorProcess], namespace: str, count: int) -> OperatorProcess:
    """Start an operator as it is deployed and wait until it has reconciled each training."""
    operator = start_operator(namespace, launch=as_deployed, log_level="INFO", resync_seconds=3600)
    wait_for(
        "each training to be reconciled",
        lambda: reconciled(operator) >= count,
        about=operator.tail,
        seen=lambda: reconciled(operator),
        longer=600,
    )
    return operator


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("admission")
def test_the_largest_that_are_admitted(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    create_many(api, largest(api, namespace), ADMITTED_LARGEST)
    operator = start(start_operator, namespace, ADMITTED_LARGEST)
    check_peak(operator, ADMITTED_LARGEST)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_larger_ones_where_admission_is_off(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    body = training(namespace, "fat", suspend=True, podTemplate={"affinity": {"x": ["y" * 1000] * 1200}})
    create_many(api, body, SMUGGLED_LARGEST)
    operator = start(start_operator, namespace, SMUGGLED_LARGEST)
    found = api.get("nnunettrainings", namespace, "t0")
    assert found and found["status"]["phase"] == "Failed"
    assert "characters, may have at most 262144: shorten" in found["status"]["conditions"][0]["message"]
    check_peak(operator, SMUGGLED_LARGEST)


def test_the_longest_names_work_to_the_end(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    """Jobs, labels, Events, and the folder of the run, whose name a file system has to take; one letter differs."""
    lab = Lab(api, namespace, start_operator(namespace))
    names = [f"{'x' * 252}{tail}" for tail in "ab"]
    for name in names:
        lab.apply(training(namespace, name, folds=[0]))
    for name in names:
        for stage, fold in (("plan", ""), ("fold", "0"), ("verify", ""), ("evaluate", "")):
            lab.kubelet.end(lab.kubelet.pod(short_name(name), stage, fold))
    for name in names:
        lab.wait_reason("Complete", "TrainingComplete", name)
        lab.wait_event("TrainingComplete", name=name)
    paths = {lab.status(name)["runPath"] for name in names}
    assert len(paths) == 2 and all(len(part) <= 255 for path in paths for part in path.split("/"))
