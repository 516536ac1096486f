"""`make test-kill`: a training that is killed at many random instants ends like one that was not.

Inside the trainer image: one run in peace, one that is killed by SIGKILL and SIGTERM while libraries are loaded, in
epochs, in writes of checkpoints, in the validation and in the evaluation. Weights and history of the final and the best
checkpoint and the scores must be the same to the last bit, and no kill may cost more than one epoch.
"""

import argparse
import random
import subprocess
import sys

from hack.images import ImageError, ensure
from hack.images.container import command_in


def main() -> int:
    """Run the test in the image; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how often to kill it (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of the instants; default: a new one, which is printed")
    options = parser.parse_args()
    seed = random.randrange(2**31) if options.seed is None else options.seed
    print(f"kill test: {options.kills} kills, SEED={seed}", flush=True)
    try:
        image = ensure(["trainer"])["trainer"]
    except ImageError as error:
        print(f"kill test: {error}", file=sys.stderr)
        return 1
    arguments = ["--kills", str(options.kills), "--seed", str(seed)]
    with command_in(image, ["python3", "-m", "tests.kill.inside", *arguments]) as command:
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
