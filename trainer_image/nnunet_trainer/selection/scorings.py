"""How often the test set was scored, and by which choices: a file in the run folder that outlives each. No torch."""

import hashlib
import json
import logging
from pathlib import Path

from nnunet_api.contract import RunContract
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.selection.record import SelectionRecord

log = logging.getLogger(__name__)

SCORINGS_FILE = "test_scorings.json"
"""In the run folder: a list of what the test set was scored by, each once."""


def note_scoring(run: Path, contract: RunContract, record: SelectionRecord, checkpoint: str) -> None:
    """Note that the test set is scored by what was chosen, with the final or the best checkpoints (a file name).

    That is noted before it is done, and once however often it is done: the same networks score the same.
    """
    noted = _read(run)
    if (scoring := _scoring(contract, record, checkpoint)) not in noted:
        write_json(run / SCORINGS_FILE, [*noted, scoring])


def other_scorings(run: Path, contract: RunContract, record: SelectionRecord) -> int:
    """Return how often the test set was scored by what was chosen before, from other checkpoints."""
    choice = _identity(contract, record)
    return sum(one.get("choice") != choice for one in _read(run))


def _scoring(contract: RunContract, record: SelectionRecord, checkpoint: str) -> dict[str, str]:
    return {"choice": _identity(contract, record), "checkpoint": checkpoint}


def _identity(contract: RunContract, record: SelectionRecord) -> str:
    """Return a hash of all that decides on the scores: configurations, their final checkpoints, postprocessing."""
    names = [
        key.name for one in record.configurations for key in contract.of_configuration(one).fold_keys_of(replicate=1)
    ]
    checkpoints = [record.checkpoints.get(name) for name in names]
    made = json.dumps([record.configurations, checkpoints, record.postprocessing])
    return hashlib.sha256(made.encode()).hexdigest()


def _read(run: Path) -> list[dict[str, str]]:
    try:
        content = read_json(run / SCORINGS_FILE)
    except FileNotFoundError:
        return []
    except ValueError as error:
        log.warning("%s can't be read, earlier scorings of the test set are not counted: %s", SCORINGS_FILE, error)
        return []
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
