"""What others, such as webhooks, put into the pods of a run: recorded for good, and judged by the policies."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nnunet_api.contract import CONTAINER_NAME, PREPARE_CONTAINER_NAME
from nnunet_api.policy.decision import Policy
from nnunet_api.slipped_in import between, pins
from nnunet_operator.core.decision import Decision
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from tests.support.made_policies import exception, policy
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    COMPLETE,
    EVALUATE,
    FOLD,
    PLAN,
    condition,
    created,
    decide,
    deleted,
    ended,
    fold_done,
    job,
    planned,
    pod,
    running,
    stated,
    stored,
    verified,
    world,
)

ONE = training(folds=[0], schedule={"epochs": 10})
DIGEST = f"sha256:{'0' * 64}"
PINNED = training(folds=[0], schedule={"epochs": 10}, trainer={"image": f"registry.example/mine@{DIGEST}"})
LIST = policy("clinical", rules={"allowedEnv": ["nnUNet_compile"]})

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


def look(of: Training, *objects: Manifest, policies: tuple[Policy, ...] = ()) -> Decision:
    return decide(replace(world(of, *objects), policies=Policies(policies)))


def fold(change: Change, of: Training = ONE) -> tuple[Manifest, Manifest]:
    """Return a fold whose pod runs, and was changed."""
    body = job(of, FOLD, "0")
    changed = running(body)
    change(changed)
    return body, changed


def known(result: Decision) -> list[tuple[str, list[str]]]:
    assert result.status.provenance
    return [(one.what, one.where) for one in result.status.provenance.slipped_in or ()]


def told_of_webhooks(result: Decision) -> bool:
    return "mutatingwebhookconfigurations" in condition(result, "PolicyCompliant").message


def told(result: Decision) -> list[str]:
    return [event.message for event in result.events if event.reason == "SlippedIn"]


@pytest.mark.parametrize("what", HONEST)
def test_what_clusters_put_into_all_pods_is_none_of_it(what: str) -> None:
    result = look(ONE, *planned(ONE), *fold(HONEST[what]), policies=(LIST,))
    assert known(result) == [] and condition(result, "PolicyCompliant").status == "True"


def test_nor_is_what_the_spec_asks_for_and_an_image_by_its_digest_from_a_mirror() -> None:
    asked = [{"name": "nnUNet_extTrainer", "value": "/mine"}, {"name": "CC", "value": "clang"}]
    of = training(folds=[0], trainer={"env": asked, "image": f"registry.example/mine@{DIGEST}"})
    assert known(look(of, *planned(of), *fold(has(image=f"mirror.example/mine@{DIGEST}"), of))) == []


def test_a_digest_pins_the_tag_that_was_asked_for_and_no_other() -> None:
    for image in (f"registry.example/trainer:11@{DIGEST}", f"registry.example/other@{DIGEST}"):
        assert known(look(ONE, *planned(ONE), *fold(has(image=image)))) == [(f"image {image}", ["fold 0"])]


def test_a_job_that_an_earlier_operator_made_starts_by_another_name() -> None:
    def earlier(body: Manifest) -> Manifest:
        trainer_of(body["spec"].get("template") or body)["command"] = ["nnunet-trainer"]
        return body

    body, changed = map(earlier, fold(lambda pod: None))
    assert known(look(ONE, *planned(ONE), body, changed, policies=(LIST,))) == []
    mine = job(ONE, FOLD, "0")
    assert known(look(ONE, *planned(ONE), mine, changed)) == [("the command", ["fold 0"])]


@pytest.mark.parametrize(
    ("asked", "runs", "same"),
    [
        ("ghcr.io/x/t:1", f"ghcr.io/x/t:1@{DIGEST}", True),
        ("ghcr.io/x/t:1", f"ghcr.io/x/t@{DIGEST}", True),
        ("ghcr.io/x/t", f"ghcr.io/x/t:latest@{DIGEST}", True),
        ("trainer:1", f"docker.io/library/trainer:1@{DIGEST}", True),
        ("x/t:1", f"docker.io/x/t@{DIGEST}", True),
        ("localhost:5000/t:1", f"localhost:5000/t@{DIGEST}", True),
        ("ghcr.io/x/t:1", f"ghcr.io/x/t:2@{DIGEST}", False),
        ("ghcr.io/x/t:1", f"ghcr.io/y/t:1@{DIGEST}", False),
        ("x/t:1", f"ghcr.io/x/t:1@{DIGEST}", False),
        ("ghcr.io/x/t:1", "ghcr.io/x/t:2", False),
        (f"ghcr.io/x/t@{DIGEST}", f"ghcr.io/x/t@{DIGEST[:-1]}0", False),
    ],
)
def test_webhooks_that_check_signatures_write_a_reference_in_their_way(asked: str, runs: str, same: bool) -> None:
    assert pins(asked, runs) is same


def test_a_predictions_container_is_held_against_its_job_in_the_same_way() -> None:
    asked = {"image": "registry.example/trainer:1", "args": ["predict"]}
    assert between(asked, {**asked, "image": f"registry.example/trainer:1@{DIGEST}"}) == ()
    assert between(asked, {"image": "mine:1", "args": ["sh"]}) == ("the command", "image mine:1")


@pytest.mark.parametrize("what", OTHERS)
def test_what_can_run_other_code_is_recorded_and_told_once(what: str) -> None:
    change, name = OTHERS[what]
    result = look(ONE, *planned(ONE), *fold(change))
    assert known(result) == [(name, ["fold 0"])]
    assert told(result) == [
        f"pods of fold 0 have run with {name}, which the operator has not given to them and by which they can run "
        "other code than their image's"
    ]
    assert stated(result, "PolicyCompliant") == ("True", "NoPolicy") and deleted(result) == []
    after = look(replace(ONE, status=stored(result.status)), *planned(ONE), *fold_done(ONE, "0"))
    assert known(after) == known(result) and told(after) == [], "its pod is gone, what it did is not"


@pytest.mark.parametrize("what", OTHERS)
def test_the_policy_forbids_it_however_it_came_in(what: str) -> None:
    change, name = OTHERS[what]
    rules = {"allowedEnv": ["nnUNet_compile", "a*", "t*"], "allowedImages": ["registry.example/trainer"]}
    begun = replace(ONE, status=stored(look(ONE, *planned(ONE)).status))
    result = look(begun, *planned(ONE), *fold(change), policies=(policy("clinical", rules=rules),))
    assert stated(result, "PolicyCompliant") == ("False", "PolicyChanged")
    shown = name.removeprefix("image ")
    assert shown in condition(result, "PolicyCompliant").message
    assert deleted(result) == ["hippo-fold-0"] and created(result) == []
    held = look(replace(ONE, status=stored(result.status)), *planned(ONE), policies=(policy("clinical", rules=rules),))
    assert held.status.problem
    assert (held.status.problem.reason, held.status.problem.case) == ("PolicyChanged", "SlippedIn")


@pytest.mark.parametrize("what", PREPARING)
def test_so_is_what_they_change_in_the_container_that_makes_the_folders(what: str) -> None:
    change, name = PREPARING[what]
    plan = job(ONE, PLAN)
    planning = running(plan)
    preparing(change)(planning)
    rules = {"allowedEnv": ["nnUNet_compile"], "allowedImages": ["registry.example/trainer"]}
    result = look(ONE, plan, planning, policies=(policy("clinical", rules=rules),))
    assert known(result) == [(name, ["planning and preprocessing"])]
    assert deleted(result) == ["hippo-plan"]


def test_so_it_is_where_that_container_has_ended_and_the_trainer_never_starts() -> None:
    plan = job(ONE, PLAN)
    planning = running(plan)
    preparing(has(image="evil:1"))(planning)
    planning["status"] = {
        "phase": "Pending",
        "initContainerStatuses": [{"name": PREPARE_CONTAINER_NAME, "state": {"terminated": {"exitCode": 0}}}],
        "containerStatuses": [{"name": CONTAINER_NAME, "state": {"waiting": {"reason": "ImagePullBackOff"}}}],
    }
    assert known(look(ONE, plan, planning)) == [("image evil:1", ["planning and preprocessing"])]


@pytest.mark.parametrize("what", HONEST)
def test_what_clusters_put_into_all_pods_is_none_of_it_there_either(what: str) -> None:
    plan = job(ONE, PLAN)
    planning = running(plan)
    preparing(HONEST[what])(planning) if "init" not in what else HONEST[what](planning)
    result = look(ONE, plan, planning, policies=(LIST,))
    assert known(result) == [] and condition(result, "PolicyCompliant").status == "True"


def test_what_the_operator_had_no_time_to_write_that_it_began_is_stopped_with_who_can_help() -> None:
    """It ended after it had made the Job; its next look is the first one that can be written."""
    plan = job(ONE, PLAN)
    planning = running(plan)
    sets("PYTHONPATH")(planning)
    stopped = look(ONE, plan, planning, policies=(LIST,))
    assert deleted(stopped) == ["hippo-plan"]
    assert stated(stopped, "PolicyCompliant") == ("False", "PolicyDenied")
    assert told_of_webhooks(stopped)
    held = look(replace(ONE, status=stored(stopped.status)), policies=(LIST,))
    assert created(held) == [] and told_of_webhooks(held)
    assert held.status.problem and held.status.problem.case == "SlippedIn"


def test_no_pod_is_held_against_a_training_before_it_runs() -> None:
    body = job(ONE, FOLD, "0")
    waits = pod(body)
    sets("LD_PRELOAD")(waits)
    result = look(ONE, *planned(ONE), body, waits, policies=(LIST,))
    assert known(result) == [] and deleted(result) == []


def test_it_ends_no_training_that_only_warns_and_what_is_allowed_counts_as_kept() -> None:
    objects = (*planned(ONE), *fold(sets("LD_PRELOAD")))
    warned = look(ONE, *objects, policies=(policy("clinical", "Warn", rules={"allowedEnv": []}),))
    assert stated(warned, "PolicyCompliant") == ("False", "PolicyNotEnforced") and deleted(warned) == []
    assert warned.status.policy and warned.status.policy.decisions[0].broken_rules == ["allowedEnv"]
    assert (
        "what others have put into its pods sets LD_PRELOAD, may set none"
        in condition(warned, "PolicyCompliant").message
    )
    allowed = look(ONE, *objects, policies=(policy("clinical", rules={"allowedEnv": ["LD_PRELOAD"]}),))
    assert stated(allowed, "PolicyCompliant") == ("True", "PoliciesKept")
    lifted = exception(liftedRules=["allowedEnv"])
    excepted = look(ONE, *objects, policies=(policy("clinical", rules={"allowedEnv": []}, exceptions=[lifted]),))
    assert stated(excepted, "PolicyCompliant") == ("True", "PolicyExcepted")
    silent = look(ONE, *objects, policies=(policy("clinical", rules={"requireSeed": False}),))
    assert stated(silent, "PolicyCompliant") == ("True", "PoliciesKept") and known(silent)


def test_a_pinned_image_that_was_replaced_breaks_the_rule_on_digests() -> None:
    digests = policy("clinical", mode="Warn", rules={"requireImageDigest": True})
    result = look(PINNED, *planned(PINNED), *fold(has(image=f"mine@sha256:{'1' * 64}"), PINNED), policies=(digests,))
    assert result.status.policy and result.status.policy.decisions[0].broken_rules == ["requireImageDigest"]


def test_planning_and_evaluation_count_as_well() -> None:
    plan = job(ONE, PLAN)
    planning = running(plan)
    sets("PYTHONPATH")(planning)
    begun = look(ONE, plan, planning, policies=(LIST,))
    assert known(begun) == [("PYTHONPATH", ["planning and preprocessing"])] and deleted(begun) == ["hippo-plan"]
    evaluate = job(ONE, EVALUATE, conditions=[COMPLETE])
    scored = ended(evaluate, 0)
    sets("PYTHONPATH")(scored)
    before = replace(ONE, status=stored(look(ONE, *planned(ONE), *fold_done(ONE, "0"), *verified(ONE)).status))
    done = look(before, evaluate, scored, policies=(LIST,))
    assert stated(done, "Complete") == ("True", "TrainingComplete")
    assert stated(done, "PolicyCompliant") == ("False", "PolicyChanged"), "the scores rest on it"


def test_the_status_stays_small() -> None:
    of = training(schedule={"epochs": 10})
    objects: list[Manifest] = [*planned(of)]
    for number in range(5):
        body = job(of, FOLD, str(number))
        changed = running(body, name=f"hippo-fold-{number}-x")
        for place in range(40):
            sets(f"LD_{place}")(changed)
        objects += [body, changed]
    result = look(of, *objects)
    found, all_of_them = known(result), [f"fold {number}" for number in range(5)]
    assert len(found) == 16 and found[0] == ("LD_0", all_of_them)
    assert found[-1] == ("and more", all_of_them)
    later = look(replace(of, status=stored(result.status)), *planned(of))
    assert known(later) == found, "they are gone, and so is what they were"


def test_what_the_status_has_no_room_for_is_judged_all_the_same() -> None:
    body = job(ONE, FOLD, "0")
    changed = running(body)
    for place in range(16):
        sets(f"TRITON_{place}")(changed)
    rules = {"allowedEnv": ["TRITON_*"], "allowedImages": ["registry.example/trainer"]}
    kept = look(ONE, *planned(ONE), body, changed, policies=(policy("clinical", rules=rules),))
    assert stated(kept, "PolicyCompliant") == ("True", "PoliciesKept") and len(known(kept)) == 16
    has(image="evil:1")(changed)
    before = replace(ONE, status=stored(kept.status))
    for allowed in ({"allowedImages": rules["allowedImages"]}, rules):
        policies = (policy("clinical", rules=allowed),)
        result = look(before, *planned(ONE), body, changed, policies=policies)
        assert stated(result, "PolicyCompliant") == ("False", "PolicyChanged") and deleted(result) == ["hippo-fold-0"]
        assert "evil:1" in condition(result, "PolicyCompliant").message
        assert [known(result)[0][0], known(result)[-1][0]] == ["image evil:1", "and more"]
        after = look(replace(ONE, status=stored(result.status)), *planned(ONE), policies=policies)
        assert stated(after, "PolicyCompliant") == ("False", "PolicyChanged") and created(after) == [], "for good"


def test_a_variable_that_the_status_has_no_room_for_is_one_that_no_list_allows() -> None:
    body = job(ONE, FOLD, "0")
    changed = running(body)
    for name in (*(f"TRITON_{place}" for place in range(16)), "nnUNet_extTrainer"):
        sets(name)(changed)
    policies = (policy("clinical", rules={"allowedEnv": ["TRITON_*", "and*"]}),)
    result = look(ONE, *planned(ONE), body, changed, policies=policies)
    assert "nnUNet_extTrainer" in condition(result, "PolicyCompliant").message
    after = look(replace(ONE, status=stored(result.status)), *planned(ONE), policies=policies)
    assert stated(after, "PolicyCompliant")[0] == "False" and created(after) == []
    assert "and more" in condition(after, "PolicyCompliant").message
