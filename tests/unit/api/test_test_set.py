"""The ledger of looks: each is counted once, and nothing is counted back."""

from datetime import UTC, datetime, timedelta

from nnunet_api.test_set import MAX_LOOKS, Look, LookKind, NnunetTestSetStatus, object_name, with_looks

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def look(number: int, uid: str = "", kind: LookKind = LookKind.TRAINING) -> Look:
    return Look(kind=kind, name=f"t{number}", uid=uid or f"u{number}", time=NOON + timedelta(minutes=number))


def test_each_look_is_counted_once_however_often_it_is_told_of() -> None:
    first = with_looks(NnunetTestSetStatus(), [look(2), look(1), look(2)])
    assert (first.total, [one.name for one in first.looks]) == (2, ["t1", "t2"])
    assert with_looks(first, [look(1), look(2)]) is first
    # What was restored from a backup has another UID, and is the same look; a comparison of that name is none.
    assert with_looks(first, [look(1, "restored")]) is first
    assert with_looks(first, [look(1, "other", LookKind.COMPARISON)]).total == 3


def test_what_is_no_longer_listed_stays_counted_and_is_not_counted_again() -> None:
    everything = [look(number) for number in range(MAX_LOOKS + 50)]
    ledger = NnunetTestSetStatus()
    for one in everything:
        ledger = with_looks(ledger, [one])
    assert (ledger.total, len(ledger.looks), ledger.looks[0].name) == (MAX_LOOKS + 50, MAX_LOOKS, "t50")
    assert with_looks(ledger, everything) is ledger
    assert with_looks(ledger, [look(1000)]).total == MAX_LOOKS + 51
    again = NnunetTestSetStatus.model_validate(ledger.to_json_dict(), by_alias=True, by_name=False)
    assert with_looks(again, everything) == ledger


def test_the_name_is_one_that_kubernetes_takes() -> None:
    assert object_name("7" * 64) == f"sha256-{'7' * 40}"
