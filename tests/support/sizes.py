"""How much of the same the tests do: enough in `make test`, more in `make test-soak`.

What is here is quantity alone: each behaviour has its case in both, in the same test functions, which bear the mark
`soak`. `python -m tests.support.sizes` says what `make test-soak` does beyond `make test`, and when it last ran here.
"""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

SOAK = os.environ.get("NNUNET_SOAK") == "1"
_LINES: list[str] = []


def _size(usual: int, soak: int, what: str) -> int:
    _LINES.append(f"{soak} in place of {usual} {what}")
    return soak if SOAK else usual


RECONCILED_WORLDS = _size(40, 5000, "made-up worlds that the operator looks at")
RECONCILED_LIVES = _size(10, 1000, "made-up lives of a training")
COMPARISONS = _size(25, 2000, "made-up comparisons whose intervals and claims are checked against the truth")
SAMPLES = _size(2000, 10_000, "samples by which intervals of comparisons are held against those of another program")
SUBGROUPS = _size(40, 400, "made-up subgroups whose interval is checked against the truth")
POOLS = _size(8, 40, "pools of workers that are forked and ended")
SAVED_PAIRS = _size(3_000, 10_000, "pairs that a class adds to its checkpoints until there are too many")

OPERATOR_KILLS = _size(4, 24, "kills of an operator with four trainings")
CHAOS_TRAININGS = _size(6, 100, "trainings in a cluster where everybody changes, deletes and forbids things")
CHAOS_HINDRANCES = _size(1, 4, "hindered stages at most of each of these: Kubernetes waits ever longer after each")
CHAOS_DEEDS = _size(1, 2, "things on average that are done to each of them by itself")
CHAOS_SECONDS = _size(5, 60, "seconds for which that goes on")
FAULT_SECONDS = _size(2, 6, "seconds of each fault of the API server")
BUSY_CHANGES = _size(30, 80, "changes of a training while a watch begins anew all the time")
RESTING_TRAININGS = _size(4, 50, "trainings that are over, beside which the operator writes nothing")
REST_SECONDS = _size(5, 30, "seconds for which it is watched")
AGREEMENT_ROUNDS = _size(8, 125, "rounds of made-up policies with 24 trainings each, admitted and decided alike")
AGREEMENT_SEEN = _size(2, 20, "cases at least of each rule and outcome among them")
UPDATE_ROUNDS = _size(4, 20, "rounds of such policies for changes of 18 trainings")
ADMITTED_LARGEST = _size(5, 500, "trainings as large as they may be, under the operator's memory limit")
SMUGGLED_LARGEST = _size(5, 120, "trainings of 1.2 MB, larger than the operator reads, under it")
COST_PAIRS = _size(4, 16, "times 50 requests that tell what a policy object costs")
COST_REQUESTS = _size(3, 25, "requests each under the largest policies")

STOCK_CLASSES = ["nnUNetTrainerDA5", "nnUNetTrainer_250epochs_NoMirroring", "nnUNetTrainer_warmup"]
"""Of nnU-Net's trainer classes: other augmentation, an epoch budget of its own, a learning rate of its own."""
if SOAK:
    STOCK_CLASSES += ["nnUNetTrainerNoMirroring", "nnUNetTrainerDiceCELoss_noSmooth"]
_LINES.append("5 in place of 3 stock trainer classes that are trained")

ODD_SELECTIONS = ["pictures of regions", "single slices"]
"""Kinds of datasets on which is chosen among configurations."""
if SOAK:
    ODD_SELECTIONS += ["tif volumes of regions", "tif pictures"]
_LINES.append("4 in place of 2 kinds of odd datasets on which is chosen among configurations")

ODD_LIVES = ["a class in no validation case"]
"""Odd datasets that are trained, verified and evaluated."""
if SOAK:
    ODD_LIVES += ["grey pictures", "oblique axes", "residual encoder", "one case", "two cases"]
    ODD_LIVES += ["single slices", "thin volumes", "awkward names"]
_LINES.append("9 in place of 1 odd datasets that are trained, verified and evaluated")

UP_KILLS = list(range(7)) if SOAK else [1, 6]
"""Components of the local cluster that are started when `up` is killed; there are seven."""
_LINES.append("kills of `up` after each component that it starts in place of two")
POD_KILLS = _size(3, 20, "kills of the operator's pod beside a training")
OUTAGE_SECONDS = _size(6, 60, "seconds without an API server beside a training")
_LINES.append("Kubernetes' own waits in place of a tenth of them before the status of a Job and after a failed pod")
_LINES.append("memory of Kubernetes' programs given back as usual in place of a third as often")


def seed(usual: int) -> int:
    """Return the seed of a test: $SEED, or else always the same; in a soak test another each time."""
    given = os.environ.get("SEED")
    return int(given) if given else int.from_bytes(os.urandom(4), "big") if SOAK else usual


def first_comparison() -> int:
    """Return the seed of the first made-up comparison: another one gives draws that nobody has chosen anything by."""
    return int(os.environ.get("NNUNET_FIRST_COMPARISON", "0"))


def _record() -> Path:
    from hack.localcluster.layout import cache_root

    return cache_root() / "last-soak.txt"


def main() -> int:
    """Say what there is more of, or with `--done` write down that it ran; return 0."""
    record = _record()
    if sys.argv[1:] == ["--done"]:
        describe = ["git", "describe", "--always", "--dirty"]
        commit = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip() or "no commit"
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC at {commit}\n", encoding="utf-8")
        return 0
    last = record.read_text(encoding="utf-8").strip() if record.exists() else "never on this machine"
    print(f"make test-soak does more of the same; it last ran: {last}")
    for line in _LINES:
        print(f"  {line}")
    print("  50 in place of 6 kills of a trainer (make test-kill)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
