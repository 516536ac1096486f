"""A module whose import was put off is loaded by the first use, once, and is the real one then."""

from pathlib import Path

import pytest

from tests.unit.trainer.piped import Start

MODULE = """
print('loaded', flush=True)
import sys
__version__ = '1'
VALUE = 3
# As in any import, what is asked for too early is not there.
EARLY = getattr(sys.modules[__name__], 'LATE', 'half')
LATE = 4
def double(number):
    return 2 * number
"""
PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from nnunet_trainer.process import later
later.MODULES = {{"plain": (), "functions": ("double",), "without": ("double",)}}
later.put_off()
{use}
"""


@pytest.mark.parametrize(
    ("use", "printed"),
    [
        ("import plain; print('not yet'); print(plain.VALUE, plain.double(2))", ["not yet", "loaded", "3 4"]),
        ("import plain; print('never')", ["never"]),
        ("import plain; print(plain.EARLY, plain.LATE, plain.__version__)", ["loaded", "half 4 1"]),
        ("import plain; print(plain.__version__)", ["loaded", "1"]),
        ("import plain; print(hasattr(plain, 'NONE'), hasattr(plain, 'NONE'))", ["loaded", "False False"]),
        ("from plain import *; print(VALUE)", ["loaded", "3"]),
        (
            "from functions import double; print('not yet'); print(double(2)); print(double(3))",
            ["not yet", "loaded", "4", "6"],
        ),
        ("import functions; print('not yet'); print(functions.VALUE)", ["not yet", "loaded", "3"]),
        ("import functions; print(functions.double(4)); print(functions.double(5))", ["loaded", "8", "10"]),
        (
            "from functions import double\ntry: import functions.none\nexcept ImportError: print('no package')",
            ["no package"],
        ),
        # Of another version than this project was made for.
        (
            "from without import double\ntry: double(2)\nexcept AttributeError as error: print(error)",
            [
                "module 'without' has no function 'double'; another version of it may be installed than the trainer "
                "was made for"
            ],
        ),
        # As nnU-Net does when it looks for classes of people's own.
        (
            "import plain\nfor one in sys.modules.values(): getattr(one, '__file__', None)\nprint(plain.__file__)",
            ["{folder}/plain.py"],
        ),
        (
            "import plain, threading\n"
            "threads = [threading.Thread(target=lambda: sys.stdout.write(f'{plain.LATE}\\n')) for _ in range(4)]\n"
            "for thread in threads: thread.start()\n"
            "for thread in threads: thread.join()",
            ["loaded", "4", "4", "4", "4"],
        ),
    ],
)
def test_it_is_loaded_by_its_first_use(start: Start, tmp_path: Path, use: str, printed: list[str]) -> None:
    for name in ("plain", "functions"):
        (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "without.py").write_text("")
    process = start(["-c", PROGRAM.format(folder=str(tmp_path), use=use)], {"PATH": "/usr/bin:/bin"})
    output, errors = process.communicate(60)
    assert output.splitlines() == [line.replace("{folder}", str(tmp_path)) for line in printed], errors
