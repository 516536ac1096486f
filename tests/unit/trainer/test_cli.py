"""The command line as the pod calls it, in processes of its own, as far as it goes without torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_api.contract import CONTRACT_ENV, POLICY_FILE
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import write_json
from nnunet_trainer.run import environment
from nnunet_trainer.run.paths import ROOT_ENV
from nnunet_trainer.run.report import TERMINATION_LOG_ENV
from tests.support.made_contracts import contract, paths_of, plan_facts, policy


def run(tmp_path: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Return exit code, message of the termination log and output."""
    log = tmp_path / "termination"
    env = os.environ | {TERMINATION_LOG_ENV: str(log), ROOT_ENV: str(tmp_path)} | variables
    command = [sys.executable, "-m", "nnunet_trainer", *arguments]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    message = json.loads(log.read_text())["message"] if log.exists() else ""
    return result.returncode, message, result.stdout + result.stderr


def test_help(tmp_path: Path) -> None:
    code, _, output = run(tmp_path, "--help")
    assert code == 0
    for word in ("plan", "train", "evaluate", "exit codes", CONTRACT_ENV):
        assert word in output


@pytest.mark.parametrize("text", ["", "{", '{"dataset": "x"}'])
def test_contract_that_is_missing_or_foreign(tmp_path: Path, text: str) -> None:
    code, message, _ = run(tmp_path, "plan", **{CONTRACT_ENV: text})
    assert code == 64
    assert CONTRACT_ENV in message


def test_dataset_that_is_missing_is_told_without_torch(tmp_path: Path) -> None:
    code, message, output = run(tmp_path, "plan", **{CONTRACT_ENV: contract().model_dump_json(by_alias=True)})
    assert code == 65, output
    assert "Dataset004_Hippocampus is not there" in message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--fold", "0"], "plan.json is missing, which planning leaves there"),
        (["train", "--fold", "7"], "fold 7"),
        (["evaluate"], "plan.json is missing, which planning leaves there"),
    ],
)
def test_order_of_the_commands(tmp_path: Path, arguments: list[str], words: str) -> None:
    code, message, output = run(tmp_path, *arguments, **{CONTRACT_ENV: contract().model_dump_json(by_alias=True)})
    assert code == 64, output
    assert words in message


@pytest.mark.parametrize("arguments", [["plan"], ["train", "--fold", "0"], ["verify"], ["evaluate"]])
def test_the_policies_are_recorded_before_anything_else(tmp_path: Path, arguments: list[str]) -> None:
    run_contract = contract(policy=policy())
    run(tmp_path, *arguments, **{CONTRACT_ENV: run_contract.model_dump_json(by_alias=True)})
    (line,) = (paths_of(run_contract, tmp_path).run / POLICY_FILE).read_text().splitlines()
    assert json.loads(line)["stage"] == arguments[0]


def test_preprocessed_data_that_is_gone_ends_the_fold_at_once(tmp_path: Path) -> None:
    run_contract = contract()
    paths = paths_of(run_contract, tmp_path)
    paths.run.mkdir(parents=True)
    write_json(paths.plan_result, plan_facts().to_json_dict())
    code, message, output = run(
        tmp_path, "train", "--fold", "0", **{CONTRACT_ENV: run_contract.model_dump_json(by_alias=True)}
    )
    assert code == 65, output
    assert "Dataset004_Hippocampus-0123456789abcdef is missing" in message
    assert "Suspend and resume the training" in message


def test_a_value_that_nnunet_can_not_read_ends_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (("nnUNet_n_proc_DA", "auto"), ("nnUNet_compile", "yes")):
        monkeypatch.setenv(name, value)
    said = "nnUNet_n_proc_DA is 'auto', must be .*; nnUNet_compile is 'yes', must"
    with pytest.raises(TrainerError, match=said) as caught:
        environment.prepare(contract(), paths_of(contract(), tmp_path), tmp_path)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION and "trainer.env" in caught.value.message


def test_workers_follow_the_cores_of_the_pod() -> None:
    assert [environment.augmentation_workers(cores) for cores in (1, 2, 3, 8)] == [0, 0, 3, 8]
    variables = environment.defaults(contract(processes=6, device="cpu"))
    assert (variables["nnUNet_def_n_proc"], variables["nnUNet_n_proc_DA"]) == ("6", "6")
    assert variables["nnUNet_compile"] == "f"
    assert environment.torch_threads(contract(processes=6, device="cpu")) == 6
    assert environment.torch_threads(contract(processes=6)) == 1
