"""`nnunet-trainer`: the program in the trainer pod.

Imports as little as possible before the signal handler stands: as PID 1 a process ignores SIGTERM until then.
"""

import os
import sys

from nnunet_trainer.process.imports import uncollected
from nnunet_trainer.process.preemption import Preemption


def main() -> None:
    """Entry point of the console script. Does not return."""
    preemption = Preemption(lambda: os._exit(75))
    preemption.install()
    with uncollected():
        from nnunet_trainer.commands.cli import run

    run(sys.argv[1:], preemption)


if __name__ == "__main__":
    main()
