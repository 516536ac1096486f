"""Settings come from the environment; a wrong one is named with its value."""

import os

import pytest

from nnunet_operator.__main__ import main
from nnunet_operator.settings import SettingsError, load_settings

IMAGE = {"NNUNET_OPERATOR_TRAINER_IMAGE": "registry.example/trainer:1"}


def environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in {**IMAGE, **{f"NNUNET_OPERATOR_{key}": value for key, value in variables.items()}}.items():
        monkeypatch.setenv(name, value)


def test_defaults_and_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, WATCH_NAMESPACES="a, b,", TRAINER_IMAGE_PULL_SECRETS="")
    settings = load_settings()
    assert settings.watch_namespaces == ("a", "b")
    assert settings.options().image_pull_secrets == ()
    assert settings.progress_poll_seconds == 15


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OWNED_CLAIMS", "nnunet:many"),
        ("WORKERS", "0"),
        ("WORKERS", "many"),
        ("LOG_FORMAT", "xml"),
        ("RESYNC_SECONDS", "1"),
        ("TRAINER_IMAGE", "a b"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment(monkeypatch, **{name: value})
    with pytest.raises(SettingsError, match=f"^NNUNET_OPERATOR_{name}={value}: "):
        load_settings()


def test_the_command_says_what_is_missing_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("NNUNET_OPERATOR_")]:
        monkeypatch.delenv(name)
    assert main([]) == 64
    said = capsys.readouterr()
    assert said.err == "nnunet-operator: NNUNET_OPERATOR_TRAINER_IMAGE is not set, and it has no default\n"
    assert said.out == ""
