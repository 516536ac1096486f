"""What ends an evaluation before it has anything to score."""

import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands import evaluate as module
from nnunet_trainer.commands.evaluate import LOCK_FILE, evaluate
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.run_splits import RunCase, RunCases
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import write_json
from nnunet_trainer.scoring.ensemble import HeldOut
from nnunet_trainer.scoring.results import summary
from tests.support.made_contracts import contract, paths_of, plan_facts
from tests.unit.trainer.scored import replicate, results
from tests.unit.trainer.test_files import HOLDER


def test_two_pods_never_evaluate_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both would write the same predictions; the second is tried again, at no cost."""
    monkeypatch.setattr(module, "LOCK_TIMEOUT_SECONDS", 0.3)
    paths = paths_of(contract(), tmp_path)
    paths.run.mkdir(parents=True)
    write_json(paths.plan_result, plan_facts().to_json_dict())
    command = [sys.executable, "-c", HOLDER, str(paths.run / LOCK_FILE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(TrainerError, match="another pod evaluates") as caught:
            evaluate(contract(), paths)
        holder.kill()
    assert caught.value.code == ExitCode.PREEMPTED
    with pytest.raises(TrainerError, match=r"evidence\.json is missing"):
        evaluate(contract(), paths)


def test_plans_in_the_model_folder_are_checked_before_nnunet_predicts(tmp_path: Path) -> None:
    """nnU-Net's predictor reads them from there, whoever wrote them; here is no nnU-Net that it could reach."""
    run, plan = contract(), plan_facts()
    paths = paths_of(run, tmp_path)
    model = paths.model(run, plan.plans_name)
    model.mkdir(parents=True)
    forged = {"architecture": {"network_class_name": "os.system", "arch_kwargs": {}}}
    write_json(model / "plans.json", {"configurations": {run.configuration: forged}})
    with pytest.raises(TrainerError, match=r"network_class_name is 'os\.system'") as caught:
        module._replicate(run, paths, plan, 1, {}, HeldOut({}, ".nii.gz"), {})
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


def test_a_class_that_splits_otherwise_is_found_out(tmp_path: Path) -> None:
    run = contract(splits={"folds": 2}, folds=["0"])
    paths, split = paths_of(run, tmp_path), [{"train": ["a"], "val": ["b", "c"]}, {"train": ["b", "c"], "val": ["a"]}]
    paths.run.mkdir(parents=True)
    write_json(paths.splits, split)
    plan = plan_facts(splits_hash=file_hash(paths.splits))
    right = {"0": {"b": {"1": 0.5}, "c": {"1": 0.5}}}
    module._require_own_splits(run, paths, plan, right)
    with pytest.raises(TrainerError, match="fold 0 was validated on other cases than its split has: a, b") as caught:
        module._require_own_splits(run, paths, plan, {"0": {"a": {"1": 0.9}, "c": {"1": 0.5}}})
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    both = contract(folds=["0"], splits=run.splits.to_json_dict(), configurations=["2d", "3d_fullres"])
    swapped = {"2d-0": right["0"], "3d_fullres-0": {"a": {"1": 0.9}, "c": {"1": 0.5}}}
    with pytest.raises(TrainerError, match="fold 3d_fullres-0 was validated on other cases"):
        module._require_own_splits(both, paths, plan, swapped)
    module._require_own_splits(contract(folds=["0"]), paths, plan_facts(), right)  # preprocessed data may be gone


@pytest.mark.parametrize("selected", [["site"], []], ids=["with subgroups", "without"])
def test_whose_the_scored_cases_are_goes_into_the_summary(selected: list[str]) -> None:
    """Of the test set and of the cross-validation, by numbers. Of a case that planning did not see none is guessed."""
    run = contract(folds=["0", "1"], evaluation={"subgroups": selected})
    cases = {case: RunCase(patient=7 if case in "ac" else ord(case)) for case in "abcd"}
    found = module._with_cases(run, results(replicate()), RunCases(cases=cases, patient_column="patient"))
    assert summary(run, found)["patients"] == {"column": "patient", "byCase": {"a": 0, "b": 1, "c": 0, "d": 2}}
    del cases["b"]
    later = module._with_cases(run, results(replicate()), RunCases(cases=cases, patient_column="patient"))
    assert "patients" not in summary(run, later)
