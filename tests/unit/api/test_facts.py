"""What a trainer serves; from anybody's image: refused with a reason, or nothing but what a fold can come to."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_api.facts import FACTS_LIMIT, EarlyStopFacts, FoldFacts, FoldNumbers, FoldProvenance, ServedFacts
from nnunet_api.fold_status import FoldStatus
from nnunet_api.reasons import EarlyStoppingState

FACTS = FoldFacts(
    fold="0-r2",
    epoch=412,
    epochs_target=1000,
    checkpoint_epoch=411,
    attempts=2,
    lost_epochs=1,
    training_loss=-0.81,
    nonfinite_loss_epochs=0,
    ema_pseudo_dice=0.8731,
    early_stopping=EarlyStopFacts(state=EarlyStoppingState.ANNEALING, epoch=400, end_epoch=450),
    held_seconds=5000.5,
    last_epoch_time=datetime(2026, 3, 1, 12, tzinfo=UTC),
    provenance=FoldProvenance(device="NVIDIA H100"),
)
LEAST = {"uid": "u", "facts": {"fold": "0", "epoch": 3, "epochsTarget": 10}}


def body(content: Any = None, **facts: Any) -> bytes:
    """Return the least that a trainer serves with these further facts, or any other content."""
    served = {**LEAST, "facts": {**LEAST["facts"], **facts}} if content is None else content  # type: ignore[dict-item]
    return json.dumps(served).encode()


def test_what_is_served_is_what_is_read() -> None:
    served = ServedFacts(uid="5b3c", facts=FACTS)
    assert ServedFacts.of(served.to_body()) == served
    assert len(served.to_body()) < 2048


def test_what_another_release_adds_is_left_out() -> None:
    content = {**LEAST, "more": [1], "facts": {**LEAST["facts"], "gradientNorm": {"a": 1}}}  # type: ignore[dict-item]
    assert ServedFacts.of(body(content)) == ServedFacts.of(body())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"# HELP nnunet_epoch Finished epochs.\nnnunet_epoch 3\n", id="metrics"),
        pytest.param(b"\xff\xfe\x00", id="binary"),
        pytest.param(body() + b" " * FACTS_LIMIT, id="huge"),
        pytest.param(body(more="x" * FACTS_LIMIT), id="huge in a field that is not known"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"uid":"u","facts":' * 10_000, id="deep in a field that is known"),
        pytest.param(body()[:-1], id="cut off"),
        pytest.param(body() + body(), id="two"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(body({"uid": "u"}), id="no facts"),
        pytest.param(body({**LEAST, "uid": "u" * 100}), id="a long UID"),
        pytest.param(body({**LEAST, "uid": None}), id="no UID"),
        pytest.param(body({"uid": "u", "facts": {"fold": "0", "epochsTarget": 10}}), id="no epoch"),
        pytest.param(body(fold=0), id="fold: a number"),
        pytest.param(body(epoch="3"), id="epoch: a string"),
        pytest.param(body(epoch=True), id="epoch: a truth"),
        pytest.param(body(epoch=3.5), id="epoch: a fraction"),
        pytest.param(body(epoch=None), id="epoch: null"),
        pytest.param(body(epoch=[3]), id="epoch: a list"),
        pytest.param(body(trainingLoss="-0.8"), id="loss: a string"),
        pytest.param(body(lastEpochTime=1772366400), id="time: a number"),
        pytest.param(body(lastEpochTime="2026-03-01T12:00:00"), id="time: without a zone"),
        pytest.param(body(lastEpochTime="0001-01-01T00:00:00+14:00"), id="time: before all"),
        pytest.param(body(lastEpochTime="1969-12-31T23:59:59Z"), id="time: before computers"),
        pytest.param(body(earlyStopping={"state": "Dreaming"}), id="a state that is none"),
        pytest.param(body(passedOver="x" * 301), id="a long list of checkpoints"),
    ],
)
def test_what_no_trainer_serves_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        ServedFacts.of(text)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["trainingLoss", "emaPseudoDice", "heldSeconds", "epoch", "unknown"])
def test_a_word_that_json_does_not_have_is_refused(word: str, field: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        ServedFacts.of(body(**{field: 0.5}).replace(b"0.5", word.encode()))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"epoch": -1}, "epoch is -1, not 0 to"),
        ({"epoch": 11}, "epoch is 11, of 10 to train"),
        ({"epochsTarget": 10**10}, "epochs_target is 10000000000, not 0 to"),
        ({"attempts": -5}, "attempts is -5"),
        ({"nonfiniteLossEpochs": -1}, "nonfinite_loss_epochs is -1"),
        ({"heldSeconds": -0.5}, "held_seconds is -0.5, which is negative"),
        ({"medianEpochSeconds": -3}, "median_epoch_seconds is -3.0, which is negative"),
        ({"earlyStopping": {"state": "Stopped", "epoch": 11}}, "early_stopping.epoch is 11, of 10 to train"),
        ({"earlyStopping": {"state": "Stopped", "epochsSaved": -1}}, "early_stopping.epochs_saved is -1"),
    ],
)
def test_impossible_numbers_are_refused_by_name(facts: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ServedFacts.of(body(**facts))


def test_a_dice_that_is_none_counts_as_absent() -> None:
    facts = ServedFacts.of(body(emaPseudoDice=17, bestEmaPseudoDice=-0.1, learningRate=0.01)).facts
    assert (facts.ema_pseudo_dice, facts.best_ema_pseudo_dice, facts.learning_rate) == (None, None, 0.01)
    assert ServedFacts.of(body(trainingLoss=0.5).replace(b"0.5", b"1e999")).facts.training_loss is None


def test_a_time_is_kept_in_utc() -> None:
    told = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    facts = FACTS.model_copy(update={"last_epoch_time": told})
    read = ServedFacts.of(ServedFacts(uid="u", facts=facts).to_body()).facts
    assert read.last_epoch_time == told and read.last_epoch_time.tzinfo is UTC


def test_a_losses_that_json_has_no_word_for_are_absent_where_the_trainer_states_them() -> None:
    facts = FoldFacts(fold="0", epoch=1, epochs_target=2, training_loss=float("nan"), validation_loss=float("inf"))
    assert b"Loss" not in ServedFacts(uid="u", facts=facts).to_body()


def test_the_status_takes_its_numbers_from_the_facts() -> None:
    """A number that is added to the facts is in the status at once, under the same name."""
    assert set(FoldNumbers.model_fields) <= set(FoldStatus.model_fields) & set(FoldFacts.model_fields)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [field.alias or name for name, field in FoldFacts.model_fields.items()]


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4) | st.binary(max_size=60))
def test_never_anything_but_value_error_nor_a_number_that_cannot_be(facts: dict[str, Any] | bytes) -> None:
    try:
        served = ServedFacts.of(facts if isinstance(facts, bytes) else body(**facts))
    except ValueError:
        return
    assert 0 <= served.facts.epoch <= served.facts.epochs_target
    assert not served.facts.impossible()
