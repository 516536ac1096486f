"""The build of the images: tags follow the content, the engine is one that answers."""

import re
from pathlib import Path

import pytest

from hack.images import LOCKS, NAMES, ImageError, engine, reference
from hack.images.base import BROUGHT, CPU, GPU
from hack.images.content import ROOT, content_tag
from hack.images.engine import choose
from hack.images.locks import Lock, locks, pinned, problems
from hack.images.sbom import components, packages
from nnunet_trainer.process.torch_builds import cudnn_numbers, faults


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
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    monkeypatch.delenv("GPU", raising=False)
    before = {name: reference(name) for name in NAMES}
    for variable, value in (("BASE_IMAGE", "example.org/pytorch:1"), ("GPU", "1")):
        with monkeypatch.context() as patched:
            patched.setenv(variable, value)
            changed = {name for name in NAMES if reference(name) != before[name]}
        assert changed == {"trainer", "custom-trainer", "dishonest"}, variable
    monkeypatch.setenv("GPU", "0")
    assert {name: reference(name) for name in NAMES} == before


@pytest.mark.parametrize(
    ("variables", "said"),
    [({"GPU": "yes"}, "GPU is 'yes'"), ({"GPU": "1", "BASE_IMAGE": "example.org/pytorch:1"}, "name two bases")],
)
def test_a_base_that_can_not_be_told_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImageError, match=said):
        reference("trainer")


def test_each_base_that_the_documentation_names_fits() -> None:
    """`make lock` resolves the requirements with the torch of each (`Lock.beside`), so no build is needed to know."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"BASE_IMAGE=([^\s.`][^\s`]*)", page.read_text())}
    assert named and named == BROUGHT.keys() - {CPU, GPU}
    assert locks()["trainer"].beside == tuple(BROUGHT.values())


@pytest.mark.parametrize("name", [name for name, base in BROUGHT.items() if base.cudnn])
def test_nothing_bad_is_known_of_the_torch_of_a_base(name: str) -> None:
    assert list(faults(BROUGHT[name].torch, BROUGHT[name].cudnn)) == []


def test_the_base_for_gpus_is_locked_with_its_cudnn() -> None:
    held = dict(pinned((ROOT / locks()["gpu-base"].path).read_text()))
    base = BROUGHT[GPU]
    assert (str(held["torch"]), str(held["torchvision"])) == (base.torch, base.torchvision)
    assert held["nvidia-cudnn-cu12"].release[:3] == cudnn_numbers(base.cudnn or 0)


@pytest.mark.parametrize(
    ("working", "chosen"),
    [({"buildah", "docker"}, "buildah"), ({"docker"}, "docker"), ({"docker", "podman"}, "podman"), (set(), None)],
)
def test_the_first_engine_that_answers_is_taken(working: set[str], chosen: str | None) -> None:
    assert choose(working.__contains__) == chosen


STEPS = """
for step in 'STEP 1/12: FROM base' 'STEP 2/12: COPY . /' 'Successfully installed torch'; do echo "$step"; done
for _ in $(seq 1500); do [ -e "$2" ] && break; sleep 0.02; done
exit "$1"
"""


@pytest.mark.parametrize("code", ["0", "3"])
def test_a_build_tells_how_far_it_is_and_why_it_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        """Let the build go on once it was told how far it is."""
        said.append(line)
        if "step 2 of 12, " in line:
            (tmp_path / "told").touch()

    monkeypatch.setattr(engine, "say", say)
    command = ["sh", "-c", STEPS, "sh", code, str(tmp_path / "told")]
    if code == "0":
        engine._run_quietly(command, "building x", sign_seconds=0.02)
    else:
        with pytest.raises(ImageError, match=r"exit code 3:\n(.*\n)+Successfully installed torch"):
            engine._run_quietly(command, "building x", sign_seconds=0.02)
    assert said[0] == "building x" and any(line.startswith("building x: step 2 of 12, ") for line in said)


def test_an_unknown_image_is_named() -> None:
    with pytest.raises(ImageError, match="'cuda'"):
        reference("cuda")


def test_the_trainer_needs_no_kubernetes_client_and_the_operator_no_torch() -> None:
    trainer, operator = ({name for name, _ in pinned(LOCKS[name].read_text())} for name in ("trainer", "operator"))
    assert "nnunetv2" in trainer and not trainer & {"kopf", "kubernetes"}
    assert "kopf" in operator and not operator & {"torch", "nnunetv2"}


@pytest.mark.parametrize("name", locks())
def test_the_locks_are_those_of_the_project(name: str) -> None:
    assert list(problems(locks()[name])) == []


def test_the_base_keeps_its_torch_and_what_only_torch_needs() -> None:
    """Another torch than the base's would not fit its driver, and one torchvision fits one torch."""
    held = {package for package, _ in pinned(LOCKS["trainer"].read_text())}
    needless = {package for package in held if package.startswith(("torch", "nvidia", "triton", "cuda"))}
    assert not needless and not held & {"sympy", "mpmath"}


def test_each_package_has_hashes() -> None:
    for lock in locks().values():
        entries = [entry for entry in (ROOT / lock.path).read_text().split("\n") if entry and not entry.startswith("#")]
        heads = [number for number, line in enumerate(entries) if not line.startswith(" ")]
        assert heads and all(entries[number + 1].strip().startswith("--hash=sha256:") for number in heads), lock.path


GOOD = "a==1.5 ; sys_platform == 'linux' \\\n    --hash=sha256:0\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is missing: run `make lock`"),
        (GOOD, "was made from other requirements than those of pyproject.toml"),
        (GOOD.replace("1.5", "3"), "has a 3, must have a<2,>=1"),
        ("", "has a not at all, must have a<2,>=1"),
        (GOOD + GOOD.replace("a==", "torch=="), "holds torch, which the base image brings"),
    ],
)
def test_a_lock_that_is_not_current_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    monkeypatch.setattr("hack.images.locks.ROOT", tmp_path)
    lock = Lock(Path("x.lock"), ("a>=1,<2",), ("torch",))
    if text is not None:
        (tmp_path / lock.path).write_text(text)
    assert said in "\n".join(problems(lock))
    (tmp_path / lock.path).write_text(lock.first_line + GOOD)
    assert list(problems(lock)) == []
    assert Lock(lock.path, ("a>=1,<3",), ("torch",)).first_line != lock.first_line


def test_a_bill_of_materials_has_hashes_of_the_lock_and_the_packages_of_the_base() -> None:
    lock = f"# made\n{GOOD}b-c==2 ; python_full_version < '3.12' \\\n    --hash=sha256:1\n"
    found = packages(lock, ["a==1.5", "B_C==3", "torch==2.6.0+debian", "Editable project location"])
    assert found == "a==1.5 \\\n    --hash=sha256:0\nB_C==3\ntorch==2.6.0+debian\n"


def test_a_bill_of_materials_has_the_packages_of_the_system() -> None:
    lines = [
        "debian 13",
        "installed zlib1g 1:1.3.dfsg+really1.3.1-1+b1 amd64 zlib 1:1.3.dfsg+really1.3.1-1",
        "config-files gone 1 all gone 1",
        "installed libc6 2.41-12 amd64 glibc 2.41-12",
    ]
    assert [(one["name"], one["version"], one["purl"]) for one in components(lines)] == [
        ("libc6", "2.41-12", "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13&upstream=glibc@2.41-12"),
        (
            "zlib1g",
            "1:1.3.dfsg+really1.3.1-1+b1",
            "pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Breally1.3.1-1%2Bb1?arch=amd64&distro=debian-13"
            "&upstream=zlib@1%3A1.3.dfsg%2Breally1.3.1-1",
        ),
    ]
