"""The stages as data: what the code that walks along them takes for granted."""

from nnunet_api.reasons import Phase, Reason
from nnunet_api.remedies.table import phase_of
from nnunet_api.stages import STAGES
from nnunet_operator.core.pipeline import LAST, PIPELINE, all_needs
from nnunet_operator.kube.builders.stages import JOBS
from tests.support.made_trainings import OPTIONS, training


def test_each_stage_has_words_and_rules() -> None:
    assert list(STAGES) == list(PIPELINE) == list(JOBS)
    assert {name: stage.name for name, stage in STAGES.items()} == {name: name for name in PIPELINE}


def test_stages_come_after_all_that_they_need_and_lead_to_the_last() -> None:
    names = list(PIPELINE)
    for name, rule in PIPELINE.items():
        assert set(rule.needs) <= set(names[: names.index(name)]), f"{name} needs what comes later, or does not exist"
    assert {LAST, *all_needs(LAST)} == set(names), "nothing would wait for the others"


def test_what_runs_can_be_told_apart() -> None:
    running: set[Reason] = {stage.running for stage in STAGES.values()}
    phases: set[Phase] = {phase_of(stage.running) for stage in STAGES.values()}
    assert len(running) == len(phases) == len(STAGES)


def test_a_stage_has_a_gpu_only_where_it_says_so() -> None:
    """The words for a pod that was killed for want of memory name the field by which it got its memory."""
    test_sets: list[dict[str, str] | None] = [None, {}]
    for test_set in test_sets:
        of = training(testSet=test_set, resources={"memory": "63Gi", "preprocessing": {"memory": "17Gi"}})
        for name, rule in PIPELINE.items():
            body = JOBS[name](of, OPTIONS, rule.keys(of.spec)[0])
            limits = body["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
            assert limits["memory"] == ("63Gi" if STAGES[name].on_gpu(of.spec) else "17Gi"), name
