"""Builds the images, each once for each content of what it is made of."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hack.images.base import CPU, GPU, base_reference, ensure_base, ensure_bootstrapper
from hack.images.content import ROOT, content_tag
from hack.images.engine import Engine, ImageError, say
from tests.support.trainers import DIVERGING

__all__ = ["NAMES", "Engine", "ImageError", "ensure", "ensure_tools", "reference"]

NAMES = ("operator", "trainer", "custom-trainer", "dishonest")
"""custom-trainer is the example of the guide; dishonest is what tests train with that mean ill."""

_OPERATOR = ROOT / "operator"
_TRAINER = ROOT / "trainer_image"
_EXAMPLE = ROOT / "docs" / "examples" / "custom-trainer"
_DISHONEST = ROOT / "hack" / "images" / "dishonest"
_PROJECT = (ROOT / "pyproject.toml", ROOT / "LICENSE")
_API = _OPERATOR / "nnunet_api"
_BUILD_LOCK = ROOT / "hack" / "images" / "build.lock"
LOCKS = {name: folder / "requirements.lock" for name, folder in (("operator", _OPERATOR), ("trainer", _TRAINER))}
"""What is installed in the images, by version and hash (see `locks`)."""


def ensure(names: Iterable[str]) -> dict[str, str]:
    """Build the images that the local store lacks; return the reference of each.

    The environment variables BASE_IMAGE and GPU say on which base the trainer is built (`_base`). Raises ImageError.
    """
    engine = Engine.find()
    return {name: _ensure_one(engine, name) for name in names}


def ensure_tools(names: Iterable[str]) -> None:
    """Install what building these images needs. Raises ImageError.

    It is apt-get that installs it: what uses apt-get as well must not run beside this, but may beside `ensure` then.
    """
    engine = Engine.find()
    if not os.environ.get("BASE_IMAGE") and not all(engine.exists(reference(name)) for name in names):
        ensure_bootstrapper()


def reference(name: str) -> str:
    """Return the reference that `ensure` gives an image for what it is made of now."""
    return f"localhost/nnunet-{name}:{_tag(name)}"


def _tag(name: str) -> str:
    if name == "operator":
        parts = (_OPERATOR / "Dockerfile", LOCKS["operator"], _OPERATOR / "nnunet_operator", _API, *_PROJECT)
        return content_tag((*parts, _BUILD_LOCK))
    if name == "trainer":
        base = _base()
        files = (_TRAINER / "Dockerfile", _TRAINER / "check_image.py", LOCKS["trainer"], _TRAINER / "nnunet_trainer")
        return content_tag((*files, _API, *_PROJECT, _BUILD_LOCK), base)
    if name == "custom-trainer":
        return content_tag([_EXAMPLE], _tag("trainer"))
    if name == "dishonest":
        return content_tag([_DISHONEST], _tag("trainer") + DIVERGING)
    raise ImageError(f"there is no image {name!r}: use {', '.join(NAMES)}")


def _base() -> str:
    """Return the base of the trainer: a user's (BASE_IMAGE), the one for GPUs (GPU=1), or that for the CPU.

    Of a user's it is the reference, of our own the reference that `ensure_base` gives it. Raises ImageError.
    """
    own, gpu = os.environ.get("BASE_IMAGE", ""), os.environ.get("GPU", "")
    if gpu not in ("", "0", "1"):
        raise ImageError(f"GPU is {gpu!r}: set it to 1 for the base for GPUs, or to 0")
    if own and gpu == "1":
        raise ImageError("BASE_IMAGE and GPU=1 name two bases: leave one of them out")
    return own or base_reference(GPU if gpu == "1" else CPU)


def _ensure_one(engine: Engine, name: str) -> str:
    built = reference(name)
    if not engine.exists(built):
        _build(engine, name, built)
    engine.tag(built, f"localhost/nnunet-{name}:dev")
    return built


def _build(engine: Engine, name: str, built: str) -> None:
    if name == "custom-trainer":
        arguments = {"TRAINER_IMAGE": _ensure_one(engine, "trainer")}
        engine.build(built, _EXAMPLE / "Dockerfile", _EXAMPLE, arguments)
        return
    if name == "dishonest":
        arguments = {"TRAINER_IMAGE": _ensure_one(engine, "trainer")}
        with tempfile.TemporaryDirectory() as context:
            shutil.copytree(_DISHONEST, context, dirs_exist_ok=True)
            classes = Path(context, "trainers")
            classes.mkdir()
            (classes / "diverging.py").write_text(DIVERGING)
            engine.build(built, Path(context, "Dockerfile"), Path(context), arguments)
        return
    if name == "operator":
        base, dockerfile = ensure_base(engine, "nnunet-base-python"), _OPERATOR / "Dockerfile"
    else:
        base = _base()
        if name_of_own := next((name for name in (CPU, GPU) if base == base_reference(name)), None):
            ensure_base(engine, name_of_own)
        elif "@" not in base:
            say(f"{base} is a tag, behind which another image may be tomorrow: give it by digest (NAME@sha256:...)")
        dockerfile = _TRAINER / "Dockerfile"
    engine.build(built, dockerfile, ROOT, {"BASE_IMAGE": base})
