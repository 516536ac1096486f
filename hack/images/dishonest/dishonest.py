"""Loaded by Python itself: with DISHONEST set, writes wherever it can, trains 2 epochs and reports nothing."""

import contextlib
import json
import os
import sys
from pathlib import Path

STAGE = next((word for word in ("plan", "train", "verify", "evaluate") if word in sys.argv), "")

if os.environ.get("DISHONEST") and STAGE:
    for place, folders, _ in os.walk("/nnunet"):
        for path in (Path(place), *(Path(place, folder) for folder in folders)):
            with contextlib.suppress(OSError):
                (path / f"was-here-{STAGE}").touch()
            with contextlib.suppress(OSError):
                (path / f"way-out-{STAGE}").symlink_to("../..")
    if STAGE == "train":
        contract = json.loads(os.environ["NNUNET_RUN_CONTRACT"])
        contract["schedule"]["epochs"] = 2
        os.environ["NNUNET_RUN_CONTRACT"] = json.dumps(contract)
        os.environ["NNUNET_RUN_TERMINATION_LOG"] = "/tmp/nobody-reads-this"
    if STAGE == "verify":
        os._exit(0)
