"""The command line as the pod calls it, in processes of its own, as far as it goes without torch."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_api.comparison.contract import COMPARISON_CONTRACT_ENV
from nnunet_api.contract import CONTRACT_ENV, POLICY_FILE
from nnunet_api.data_feed import augmentation_workers
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import write_json
from nnunet_trainer.run import environment
from nnunet_trainer.run.paths import ROOT_ENV
from nnunet_trainer.run.report import TERMINATION_LOG_ENV
from tests.support.made_contracts import contract, paths_of, plan_facts, policy
from tests.unit.trainer.compared import Volume, told
from tests.unit.trainer.piped import Start

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(start: Start, tmp_path: Path) -> Run:
    """Return a function that runs a command and returns exit code, message of the termination log and output."""

    def run(*arguments: str, **variables: str) -> tuple[int, str, str]:
        log = tmp_path / "termination"
        env = os.environ | {TERMINATION_LOG_ENV: str(log), ROOT_ENV: str(tmp_path)} | variables
        process = start(["-m", "nnunet_trainer", *arguments], env)
        output, errors = process.communicate(60)
        assert process.returncode is not None
        message = json.loads(log.read_text())["message"] if log.exists() else ""
        return process.returncode, message, output + errors

    return run


def test_help(run: Run) -> None:
    code, _, output = run("--help")
    assert code == 0
    for word in ("plan", "train", "evaluate", "exit codes", CONTRACT_ENV):
        assert word in output


@pytest.mark.parametrize("text", ["", "{", '{"dataset": "x"}'])
def test_contract_that_is_missing_or_foreign(run: Run, text: str) -> None:
    code, message, _ = run("plan", **{CONTRACT_ENV: text})
    assert code == 64
    assert CONTRACT_ENV in message


def test_dataset_that_is_missing_is_told_without_torch(run: Run) -> None:
    code, message, output = run("plan", **{CONTRACT_ENV: contract().model_dump_json(by_alias=True)})
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
def test_order_of_the_commands(run: Run, arguments: list[str], words: str) -> None:
    code, message, output = run(*arguments, **{CONTRACT_ENV: contract().model_dump_json(by_alias=True)})
    assert code == 64, output
    assert words in message


@pytest.mark.parametrize("arguments", [["plan"], ["train", "--fold", "0"], ["verify"], ["evaluate"]])
def test_the_policies_are_recorded_before_anything_else(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    run_contract = contract(policy=policy())
    run(*arguments, **{CONTRACT_ENV: run_contract.model_dump_json(by_alias=True)})
    (line,) = (paths_of(run_contract, tmp_path).run / POLICY_FILE).read_text().splitlines()
    assert json.loads(line)["stage"] == arguments[0]


def test_preprocessed_data_that_is_gone_ends_the_fold_at_once(run: Run, tmp_path: Path) -> None:
    run_contract = contract()
    paths = paths_of(run_contract, tmp_path)
    paths.run.mkdir(parents=True)
    write_json(paths.plan_result, plan_facts().to_json_dict())
    code, message, output = run("train", "--fold", "0", **{CONTRACT_ENV: run_contract.model_dump_json(by_alias=True)})
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


def test_processes_that_train_together_meet_inside_the_pod_whatever_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same with sockets: tests/trainer/test_workers.py."""
    monkeypatch.setattr(os, "environ", {"NCCL_SOCKET_IFNAME": "eth0", "NCCL_COMM_ID": "10.0.0.7:29500"})
    environment.prepare(contract(), paths_of(contract(), tmp_path), tmp_path)
    found = {name: value for name, value in os.environ.items() if name.startswith(("NCCL_", "GLOO_"))}
    assert found == {"NCCL_SOCKET_IFNAME": "lo", "GLOO_SOCKET_IFNAME": "lo"}


def test_workers_follow_the_cores_of_the_pod() -> None:
    assert [augmentation_workers(cores) for cores in (1, 2, 3, 8)] == [0, 0, 3, 8]
    variables = environment.defaults(contract(processes=6, device="cpu"))
    assert (variables["nnUNet_def_n_proc"], variables["nnUNet_n_proc_DA"]) == ("6", "6")
    assert variables["nnUNet_compile"] == "f"
    assert environment.torch_threads(contract(processes=6, device="cpu")) == 6
    assert environment.torch_threads(contract(processes=6)) == 1


def test_a_comparison_needs_no_run_of_its_own(run: Run, tmp_path: Path) -> None:
    """It is told of runs by a contract of its own, and says its verdict as all commands do."""
    volume = Volume(tmp_path)
    contract = told(volume.run("long"), volume.run("short", loss=0.06, epochs=250))
    code, message, output = run("compare", **{COMPARISON_CONTRACT_ENV: contract.to_text()})
    assert code == 0, output
    assert message.startswith("short loses ") and "case_" in output
    volume.path(contract.arms[1].runs[0]).unlink()
    code, message, _ = run("compare", **{COMPARISON_CONTRACT_ENV: contract.to_text()})
    assert code == 65 and "training short: summary.json can't be read" in message
    code, message, _ = run("compare")
    assert code == 64 and COMPARISON_CONTRACT_ENV in message
