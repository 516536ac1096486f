"""Who predicts is told what mends a prediction, and never to train again."""

import errno
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from nnunet_trainer.process import failures
from nnunet_trainer.process.failures import classify, dead_worker_message, replaced, storage_failed
from nnunet_trainer.process.gpu import require_gpu
from nnunet_trainer.process.of_predictions import REMEDIES, in_words_of_predictions
from nnunet_trainer.selection.merging import mean_of_damageable
from tests.unit.trainer.test_failures import CASES
from tests.unit.trainer.test_torch_builds import torch_of

OF_TRAININGS = re.compile(
    r"resources\.|retryLimit|trainer\.|training(?!'s podTemplate)|planning|last checkpoint|is finished again|patch_size"
)


def messages(folder: Path) -> list[str]:
    """Return what a prediction may fail with, in the words of a training."""
    said = [classify(error, [Path("/nnunet/results")], [Path("/nnunet/raw")]).message for error, _, _ in CASES]
    said += [dead_worker_message("worker 1 was ended by SIGKILL"), storage_failed("full", folder).message]
    said.append(replaced(["fold_0/checkpoint_final.pth"]).message)
    said += [refusal_of(torch) for torch in WITHOUT_GPU]
    (folder / "a.npz").write_bytes(b"damaged")
    with pytest.raises(failures.TrainerError) as caught:
        mean_of_damageable(_reads, [str(folder / "a.npz")])
    return [*said, caught.value.message]


WITHOUT_GPU = (
    torch_of("2.6.0", None, None),
    torch_of("2.9.1+cu128", "12.8", 91002),
    torch_of("2.7.1+cu126", "12.6", 90501, there=False),
    torch_of("2.7.1+cu126", "12.6", 90501, capability=(10, 0)),
)


def refusal_of(torch: Any) -> str:
    """Return why there is nothing to compute on, with this torch."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises((failures.TrainerError, RuntimeError)) as caught:
        patch.setitem(sys.modules, "torch", torch)
        require_gpu()
    return classify(caught.value).message


@pytest.mark.parametrize("torch", WITHOUT_GPU)
def test_without_a_gpu_there_is_another_way(torch: Any) -> None:
    said = in_words_of_predictions(refusal_of(torch))
    assert "predict with --cpu-only" in said and "--cpu-only" not in refusal_of(torch)
    assert "--image" in said or "podTemplate.runtimeClassName" in said


def _reads(files: list[str]) -> object:
    raise ValueError(files[0])


def test_no_remedy_is_that_of_a_training(tmp_path: Path) -> None:
    said = [in_words_of_predictions(message) for message in messages(tmp_path)]
    assert [message for message in said if OF_TRAININGS.search(message.replace(str(tmp_path), ""))] == []


def test_each_remedy_of_a_training_has_its_own_words_still(tmp_path: Path) -> None:
    """A message that is worded anew must not fall back to what mends a training."""
    said = messages(tmp_path)
    for number, (words, _) in enumerate(REMEDIES):
        for longer, own in REMEDIES[:number]:
            said = [message.replace(longer, own) for message in said]
        assert any(words in message for message in said), words


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (OSError(errno.ENOSPC, "full", "/x"), "then call the same command again; it goes on with what is done"),
        (MemoryError(), "out of memory: raise --memory"),
        (OSError(errno.EMFILE, "Too many", "/x"), "lower --cpu for fewer workers"),
        (RuntimeError("CUDA out of memory"), "Use a larger GPU, or predict with --cpu-only"),
        (OSError(errno.ENOSPC, "No space left", "/dev/shm/a"), "Lower --cpu for fewer workers"),
        (failures.wrong_data("nothing of it"), "nothing of it"),
        (replaced(["a"]), "1 checkpoint was replaced after it was verified: a. Restore the folder of the run"),
        (replaced(["a", "b"]), "2 checkpoints were replaced after they were verified: a, b. Restore"),
    ],
)
def test_what_is_said(error: Exception, remedy: str) -> None:
    assert remedy in in_words_of_predictions(classify(error).message)


def test_damaged_probabilities_are_predicted_again_by_the_same_command(tmp_path: Path) -> None:
    assert messages(tmp_path)[-1].endswith(
        "The file was removed: suspend and resume the training, which predicts the case again"
    )
    said = in_words_of_predictions(messages(tmp_path)[-1])
    assert said.endswith("The file was removed: call the same command again, which predicts the case again")
