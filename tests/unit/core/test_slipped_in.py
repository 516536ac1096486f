"""What others, such as webhooks, put into the pods of a run: recorded for good, and judged by the policies."""

from dataclasses import replace

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
from tests.unit.core.changes import (
    DIGEST,
    HONEST,
    OTHERS,
    PREPARING,
    Change,
    has,
    preparing,
    sets,
    trainer_of,
)

ONE = training(folds=[0], schedule={"epochs": 10})
PINNED = training(folds=[0], schedule={"epochs": 10}, trainer={"image": f"registry.example/mine@{DIGEST}"})
LIST = policy("clinical", rules={"allowedEnv": ["nnUNet_compile"]})


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
