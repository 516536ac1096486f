"""What the storage or the node has to say reaches us through ITK, which says it in words of its own or not at all."""

import json
import os

import pytest

from tests.trainer import tiny_dataset
from tests.trainer.theirs import forked
from tests.trainer.world import World

EXAMINE = """
import json, resource, sys
from pathlib import Path
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunet_trainer.dataset.raw import Case
from nnunet_trainer.dataset.examination import Examiner, ReaderChoice
from nnunet_trainer.process.failures import classify

folder = Path(sys.argv[1])
case = Case((folder / "imagesTr/case_02_0000.nii.gz",), folder / "labelsTr/case_02.nii.gz")

def examine(case):
    try:
        examined = Examiner(ReaderChoice(SimpleITKIO), 1, (0, 1, 2), folder)(case)
    except Exception as error:
        told = classify(error, [], [folder])
        return [int(told.code), told.message]
    return [65, examined.findings[0].text] if examined.findings else [0, ""]

found = {"whole": examine(case)}
for name, content in (("damaged", b"<html>404</html>"), ("missing", None)):
    other = folder / f"{name}.nii.gz"
    if content:
        other.write_bytes(content)
    found[name] = examine(Case(case.images, other))
unreadable = folder / "unreadable.nii.gz"
unreadable.symlink_to("/proc/self/mem")
found["input/output error"] = examine(Case(case.images, unreadable))
resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
held = []
try:
    while True:
        held.append(open("/dev/null"))
except OSError:
    pass
found["no files left"] = examine(case)
print("FOUND", json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(planned: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    world = planned.copy(tmp_path_factory.mktemp("passing") / "world")
    folder = world.root / "nnunet/raw" / tiny_dataset.NAME
    code, printed = forked([EXAMINE, str(folder)], {**os.environ, "PYTHON_CPU_COUNT": "1"})
    assert code == 0, printed
    (line,) = [line for line in printed.splitlines() if line.startswith("FOUND ")]
    return {name: (code, message) for name, (code, message) in json.loads(line.removeprefix("FOUND ")).items()}


@pytest.mark.parametrize(
    ("case", "code", "says"),
    [
        ("whole", 0, ""),
        ("damaged", 65, "damaged.nii.gz"),
        ("missing", 65, "missing.nii.gz"),
        ("input/output error", 1, "Input/output error"),
        ("no files left", 1, "too many open files"),
    ],
)
def test_who_is_blamed(found: dict[str, tuple[int, str]], case: str, code: int, says: str) -> None:
    assert found[case][0] == code and says in found[case][1], found[case]
