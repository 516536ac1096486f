"""The build of the images: tags follow the content, the engine is one that answers."""

from pathlib import Path

import pytest

from hack.images import NAMES, ImageError, reference
from hack.images.content import content_tag, requirements
from hack.images.engine import choose


def test_a_tag_follows_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = content_tag([tmp_path])
    assert content_tag([tmp_path]) == first
    (tmp_path / "a").write_text("2")
    second = content_tag([tmp_path])
    (tmp_path / "a").rename(tmp_path / "b")
    third = content_tag([tmp_path])
    assert len({first, second, third, content_tag([tmp_path], "other arguments")}) == 4


def test_compiled_python_does_not_change_a_tag(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    before = content_tag([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert content_tag([tmp_path]) == before


def test_a_missing_input_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        content_tag([tmp_path / "gone"])


def test_the_images_depend_on_what_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: reference(name) for name in NAMES}
    monkeypatch.setenv("BASE_IMAGE", "docker.io/pytorch/pytorch:2.9.1-cuda12.8-cudnn9-runtime")
    changed = {name for name in NAMES if reference(name) != before[name]}
    assert changed == {"trainer", "custom-trainer", "dishonest"}


@pytest.mark.parametrize(
    ("working", "chosen"),
    [({"buildah", "docker"}, "buildah"), ({"docker"}, "docker"), ({"docker", "podman"}, "podman"), (set(), None)],
)
def test_the_first_engine_that_answers_is_taken(working: set[str], chosen: str | None) -> None:
    assert choose(working.__contains__) == chosen


def test_an_unknown_image_is_named() -> None:
    with pytest.raises(ImageError, match="'cuda'"):
        reference("cuda")


def test_the_trainer_needs_no_kubernetes_client_and_the_operator_no_torch() -> None:
    trainer, operator = " ".join(requirements("trainer")), " ".join(requirements("operator"))
    assert "nnunetv2" in trainer and "kopf" not in trainer and "kubernetes" not in trainer
    assert "kopf" in operator and "torch" not in operator and "nnunetv2" not in operator
