"""Which comparisons stand in the place of rules that a training breaks, and which only look as if they did."""

import json
from dataclasses import replace
from typing import Any

import pytest

from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.reasons import ComparisonReason
from nnunet_api.comparison.registration import digest_of
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_api.policy.decision import Policy, decide
from nnunet_api.policy.evidence import Compared, Judgement, Trained, judge, terms_words
from nnunet_api.policy.model import AcceptedVerdict, ComparisonTerms, Outcome, PolicyException
from nnunet_api.policy.rules import Standing
from nnunet_api.results import Results
from tests.support.made_comparisons import condition
from tests.support.made_policies import NOW, exception, policy, subject
from tests.support.made_verdicts import (
    BASELINE,
    CANDIDATE,
    CLINICAL,
    IN,
    RULES,
    SEEDED,
    TEST_SET,
    compared,
    registered,
    status,
    trained,
)


def judged(of: Compared | None, by: Policy = CLINICAL, training: Trained = CANDIDATE, **granted: Any) -> Judgement:
    allowed = PolicyException.model_validate(exception(**granted)) if granted else None
    return judge(training, by, Standing(by.spec.rules, allowed), of, NOW)


@pytest.mark.parametrize("verdict", list(AcceptedVerdict))
def test_an_accepted_verdict_is_kept_with_what_it_rests_on(verdict: AcceptedVerdict) -> None:
    of = compared(status(verdict))
    found = judged(of)
    assert found.accepted is not None and not found.failed
    assert found.accepted.to_json_dict() == {
        "policy": "clinical",
        "generation": 1,
        "comparison": "shorter",
        "uid": "c0ffee",
        "registration": digest_of(of.spec, [registered("standard", "long", True), IN]),
        "arm": "fast",
        "baseline": ["long"],
        "verdict": verdict.value,
        "difference": -0.002,
        "low": -0.006,
        "high": 0.002,
        "maxDiceLoss": 0.01,
        "acceptedAt": "2026-03-01T12:00:00Z",
    }
    words = f"policy clinical accepts NnunetComparison shorter: {verdict.value} at a margin of 1 point against long"
    assert found.matter == words


NOT_YET = status(conditions=[], verdicts=[], phase="WaitingForArms", indicative=None)


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (None, "is not there, or can't be read"),
        (compared(NOT_YET), "has no verdict yet (WaitingForArms)"),
        (compared(NnunetComparisonStatus()), "has no arm with training short (UID uid-of-short)"),
        (
            compared(status(conditions=[condition("Failed", "OutOfMemory")])),
            "has failed (OutOfMemory): ",
        ),
    ],
)
def test_what_may_still_come_is_awaited(of: Compared | None, words: str) -> None:
    found = judged(of)
    assert (found.accepted, found.failed) == (None, False)
    assert f"NnunetComparison shorter {words}" in found.matter


def with_baseline(epochs: int = 1000, **fields: Any) -> Compared:
    """Return a comparison with another baseline."""
    return compared(trainings={"long": trained("long", epochs, **fields)})


IMAGE: dict[str, Any] = {"trainer": {"seed": 1, "image": "registry.example/mine:1"}}


@pytest.mark.parametrize(
    ("of", "words"),
    [
        # A comparison that was made so that it comes out well.
        (compared(maxDiceLoss=0.5), "has spec.maxDiceLoss 0.5, must be at most 0.01"),
        (compared(alpha=0.2), "has spec.alpha 0.2, must be at most 0.05"),
        (compared(classes=["liver"]), "has spec.classes liver, must leave them out"),
        (compared(NOT_YET, maxDiceLoss=0.5), "has spec.maxDiceLoss 0.5"),  # told before anything is trained
        (compared(status("IndicativeNonInferior", indicative=True)), "came to IndicativeNonInferior for arm fast"),
        (compared(status(indicative=None)), "came to NonInferior for arm fast"),
        (
            compared(status("Inferior")),
            "came to Inferior for arm fast, must be one of Superior, Equivalent, NonInferior",
        ),
        (compared(status("Inconclusive")), "came to Inconclusive for arm fast"),
        (compared(status(verdicts=[])), "has no verdict on arm fast"),
        (compared(status(replicates=(3, 1))), "has 1 replicates in arm fast, must have at least 3"),
        (compared(status(replicates=(2, 3))), "has 2 replicates in arm standard, must have at least 3"),
        (
            compared(status(conditions=[condition("Failed", ComparisonReason.NOT_COMPARABLE)])),
            "has failed (NotComparable)",
        ),
        # Registered too late, or with something else.
        (
            compared(status(known=(registered("standard", "long"), registered("fast", "short", True)))),
            "was made when short of arm fast were complete: their scores could be known",
        ),
        (
            compared(status(known=(registered("standard", "long"), IN, registered("fast", "lucky", True)))),
            "was made when lucky of arm fast were complete",
        ),
        (compared(status(known=(registered("standard", "long"),))), "has no arm with training short"),
        (
            compared(status(known=(registered("standard", "long"), registered("fast", "other")))),
            "has no arm with training short",
        ),
        (compared(status(known=(registered("standard", "short"),))), "has training short in its baseline standard"),
        # A weak baseline.
        (
            with_baseline(300, schedule={"epochs": 300}),
            "has a baseline that breaks policy clinical: training long: spec.schedule.epochs is 300, must be at least",
        ),
        (
            with_baseline(schedule={"epochs": 1000, "iterationsPerEpoch": 1}),
            "spec.schedule.iterationsPerEpoch is 1, must be at least 250",
        ),
        (with_baseline(earlyStopping={"mode": "Stop"}), "spec.earlyStopping.mode is Stop, must be one of"),
        (with_baseline(comparison="shorter", schedule={"epochs": 300}), "spec.schedule.epochs is 300"),
        (
            with_baseline(schedule={"initialLearningRate": 1e-9}),
            "has a baseline that differs from training short in what is not nnU-Net's standard: training long: "
            "schedule.initialLearningRate is 1e-09",
        ),
        (
            with_baseline(schedule={"learningRatePolicy": "PolyWithWarmup", "warmupEpochs": 999}),
            "learningRatePolicy is",
        ),
        (with_baseline(configuration="2d"), "configuration is 2d"),
        (with_baseline(planning={"configurations": {"3d_fullres": {"batch_size": 2}}}), "planning.configurations."),
        (with_baseline(planning={"planner": "Tiny"}), "planning.planner is Tiny"),
        (with_baseline(trainer={"seed": 1, "env": [{"name": "SLOW", "value": "1"}]}), "trainer.env.SLOW is 1"),
        (with_baseline(**IMAGE), "trainer.image is registry.example/mine:1"),
        (with_baseline(999), "whose checkpoints prove 999 epochs, must be at least 1000 by policy clinical"),
        (with_baseline(over=False), "has training long in its baseline, which is not complete and proven"),
        (compared(trainings={}), "has training long in its baseline, which is gone"),
        (
            compared(trainings={"long": replace(BASELINE, uid="another")}),
            "has training long in its baseline, which is gone",
        ),
        # A test set that was looked at until it came out well.
        (
            compared(looks=21),
            "rests on a test set that has been looked at more than 20 times, the maxTestLooks of policy clinical (3 "
            "times in this namespace)",
        ),
    ],
)
def test_what_was_made_to_come_out_well_never_counts(of: Compared, words: str) -> None:
    found = judged(of)
    assert (found.accepted, found.failed) == (None, True)
    assert words in found.matter and found.matter.startswith("NnunetComparison shorter ")


@pytest.mark.parametrize(
    "of",
    [
        compared(looks=20),
        with_baseline(schedule={"epochs": 1000, "iterationsPerEpoch": 500}),
        with_baseline(earlyStopping={"mode": "Observe", "patienceEpochs": 7}),
        with_baseline(trainer={"seed": 77}),
        with_baseline(resources={"gpus": 2}),
    ],
)
def test_what_differs_and_makes_no_baseline_weak(of: Compared) -> None:
    assert judged(of).accepted is not None


SAME: dict[str, Any] = {"planning": {"configurations": {"3d_fullres": {"batch_size": 2}}}}


def made(of: Trained, **provenance: Any) -> Trained:
    """Return a training that was made from something else."""
    assert of.status.provenance
    changed = of.status.provenance.model_copy(update=provenance)
    return replace(of, status=of.status.model_copy(update={"provenance": changed}))


def scored(of: Trained, test_set: str | None) -> Trained:
    """Return a training that was scored on another test set, or by an image that does not say on which."""
    return replace(of, status=of.status.model_copy(update={"results": Results(test_set_hash=test_set)}))


@pytest.mark.parametrize(
    "changes",
    [
        {"arms": [{"name": "fast", "trainings": ["short"]}, {"name": "standard", "trainings": ["long"]}]},
        {"arms": [{"name": "standard", "patch": {"a": 1}}, {"name": "fast", "trainings": ["short"]}]},
        {"maxDiceLoss": 0.005},
    ],
)
def test_what_is_not_as_it_was_registered_never_counts(changes: dict[str, Any]) -> None:
    """Kubernetes holds an open object for equal to one of as many other keys: a patch could be exchanged."""
    of = compared()
    body = {**of.spec.to_json_dict(), **changes}
    found = judged(replace(of, spec=NnunetComparisonSpec.model_validate_json(json.dumps(body))))
    assert found.failed and "NnunetComparison shorter is not what was registered" in found.matter


@pytest.mark.parametrize(
    ("baseline", "varies", "words"),
    [
        ({"plans_hash": "c" * 64}, "planning.configurations", f"has plansHash {'c' * 64}, and training short has bbb"),
        ({"plans_hash": None}, "planning.configurations", "has plansHash None"),
        ({"plans_hash": "c" * 64}, "trainer", "has plansHash"),
        ({"image_digest": "sha256:2"}, "planning.configurations", "has trainer.image sha256:2, and training short has"),
        ({"image_digest": "sha256:2"}, "trainer", ""),
    ],
)
def test_a_baseline_was_made_as_its_spec_says(baseline: dict[str, Any], varies: str, words: str) -> None:
    """One of tiny patches whose spec has been changed since to be the candidate's."""
    own = trained("short", 250, comparison="shorter", schedule={"epochs": 250}, trainer={"seed": 1}, **SAME)
    long = made(trained("long", **SAME), **baseline)
    found = judged(compared(trainings={"long": long}, varies=["schedule.epochs", varies]), training=own)
    assert found.failed == bool(words) and words in found.matter
    other: dict[str, Any] = {"planning": {"configurations": {"3d_fullres": {"batch_size": 4}}}}
    apart = trained("short", 250, comparison="shorter", schedule={"epochs": 250}, trainer={"seed": 1}, **other)
    weak = made(trained("long"), **baseline)
    assert judged(compared(trainings={"long": weak}), training=apart).accepted, "other plans are what the arms vary in"


def test_other_weights_bring_other_plans() -> None:
    begins: dict[str, Any] = {"initialWeights": {"training": {"name": "base"}}}
    own = trained("short", 250, comparison="shorter", schedule={"epochs": 250}, trainer={"seed": 1}, **begins)
    long = made(trained("long"), plans_hash="c" * 64)
    of = compared(trainings={"long": long}, varies=["schedule.epochs", "initialWeights"])
    assert judged(of, training=own).accepted


@pytest.mark.parametrize(
    ("own", "baseline", "words"),
    [
        (None, TEST_SET, "has training short without status.results.testSetHash"),
        (TEST_SET, None, "has training long without status.results.testSetHash"),
        (None, None, "has training short, long without status.results.testSetHash, and the maxTestLooks of policy"),
        ("f" * 64, TEST_SET, "has trainings with several test sets (status.results.testSetHash: short: fff"),
    ],
)
def test_looks_that_nobody_can_count_are_too_many(own: str | None, baseline: str | None, words: str) -> None:
    of = compared(trainings={"long": scored(BASELINE, baseline)}, looks=0)
    found = judged(of, training=scored(CANDIDATE, own))
    assert found.failed and words in found.matter
    without = policy("clinical", rules={key: value for key, value in RULES.items() if key != "maxTestLooks"})
    assert judged(of, without, scored(CANDIDATE, own)).accepted


def test_looks_that_are_not_counted_yet_are_waited_for() -> None:
    """The arms' own evaluations are some: no ledger at all is one that is behind, gone, or one too many."""
    found = judged(replace(compared(), looks_here=0))
    assert (found.accepted, found.failed) == (None, False) and "are not counted in this namespace" in found.matter


def test_what_both_have_is_no_weakness() -> None:
    """The policy would let the arm train so for a thousand epochs."""
    both: dict[str, Any] = {"configuration": "2d", "trainer": {"seed": 1, "image": "registry.example/mine:1"}}
    own = trained("short", 250, comparison="shorter", schedule={"epochs": 250}, **both)
    of = compared(trainings={"long": trained("long", **both)})
    assert judged(of, training=own).accepted is not None


def test_an_exception_may_give_other_terms_or_lift_the_bound_on_looks() -> None:
    wide = compared(maxDiceLoss=0.02, looks=100)
    assert judged(wide).failed
    terms: dict[str, Any] = {"requireComparison": {"maxDiceLoss": 0.02}}
    assert "looked at more than 20 times" in judged(wide, **terms).matter
    assert judged(wide, liftedRules=["maxTestLooks"], **terms).accepted is not None
    without = policy("clinical", rules={key: value for key, value in RULES.items() if key != "requireComparison"})
    assert judged(compared(), without).failed
    assert judged(compared(), without, requireComparison={}).accepted is not None


def test_a_baseline_under_an_exception_is_no_measure() -> None:
    let_off = exception(name="long", minEpochs=300)
    by = policy("clinical", rules=RULES, exceptions=[let_off])
    assert "must be at least 1000" in judged(with_baseline(300, schedule={"epochs": 300}), by).matter


def test_terms_in_words() -> None:
    assert terms_words(ComparisonTerms(verdicts=[AcceptedVerdict.SUPERIOR], min_replicates=1)) == (
        "one of Superior at a margin of at most 1 point, with 1 replicate in each arm"
    )


STOP: dict[str, Any] = {"mode": "Stop", "minEpochs": 300}


@pytest.mark.parametrize(
    ("fields", "outcome", "compared_rules", "proven"),
    [
        ({}, Outcome.ALLOWED, [], 1000),
        ({"comparison": "shorter"}, Outcome.ALLOWED, [], 1000),
        ({"schedule": {"epochs": 250}}, Outcome.DENIED, [], 250),
        ({"comparison": "shorter", "schedule": {"epochs": 250}}, Outcome.COMPARED, ["minEpochs"], 250),
        (
            {"comparison": "shorter", "schedule": {"epochs": 1000, "iterationsPerEpoch": 10}},
            Outcome.COMPARED,
            ["minIterationsPerEpoch"],
            1000,
        ),
        ({"comparison": "shorter", "earlyStopping": STOP}, Outcome.COMPARED, ["earlyStopping.allowedModes"], 300),
        (
            {"comparison": "shorter", "trainer": {"seed": 1, "className": "Mine"}},
            Outcome.COMPARED,
            ["allowedTrainerClasses"],
            1000,
        ),
        (
            {"comparison": "shorter", "schedule": {"epochs": 250}, "testSet": None},
            Outcome.DENIED,
            ["minEpochs"],
            250,
        ),
    ],
)
def test_what_an_arm_may_break(
    fields: dict[str, Any], outcome: Outcome, compared_rules: list[str], proven: int
) -> None:
    by = policy("clinical", rules={**RULES, "requireTestSet": True})
    decision = decide(subject(**{**SEEDED, **fields}), {}, [by], NOW)
    (verdict,) = decision.verdicts
    assert verdict.outcome is outcome and decision.allowed == (outcome is not Outcome.DENIED)
    assert [one.rule.value for one in verdict.compared] == compared_rules
    assert verdict.proven_epochs == proven


def test_early_stops_of_what_breaks_nothing_are_held_back_as_ever() -> None:
    """Naming a comparison must not lower what is asked of a training that then needs no verdict."""
    by = policy("clinical", rules={"minEpochs": 1000, "requireComparison": {}})
    stops = subject(**SEEDED, comparison="shorter", earlyStopping=STOP)
    (verdict,) = decide(stops, {}, [by], NOW).verdicts
    assert (verdict.outcome, verdict.proven_epochs) == (Outcome.ALLOWED, 1000)
