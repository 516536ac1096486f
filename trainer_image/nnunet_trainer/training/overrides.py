"""Whether a trainer class leaves to nnUNetTrainer what control rests on: asked at the start, not at epoch 900.

The answer comes from the class's source. It can't be complete, but what people do by accident shows there: a method
that takes the place of nnU-Net's and no longer does its part.
"""

import ast
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nnunet_trainer.training.source import Method, methods_of


@dataclass(frozen=True)
class Part:
    """What a method has to do if it does not call super()."""

    why: str
    """What goes wrong without it."""
    calls: frozenset[str] = frozenset()
    """Methods of the object."""
    assigns: frozenset[str] = frozenset()
    """Attributes of the object."""
    texts: frozenset[str] = frozenset()
    """Keys of the history or of a checkpoint, names of files."""

    @property
    def replaceable(self) -> bool:
        """Tell whether a class may do it all by itself."""
        return bool(self.calls or self.assigns or self.texts)


_KEYS = (
    "network_weights optimizer_state grad_scaler_state logging _best_ema current_epoch init_args trainer_name "
    "inference_allowed_mirroring_axes"
)
_LOOP = "on_train_start on_epoch_start on_train_epoch_start on_train_epoch_end on_validation_epoch_end on_epoch_end"


def _part(why: str, *, calls: str = "", assigns: str = "", texts: str = "") -> Part:
    return Part(why, frozenset(calls.split()), frozenset(assigns.split()), frozenset(texts.split()))


PARTS: Mapping[str, Part] = {
    "__init__": _part("nothing of nnU-Net is set up"),
    "initialize": _part(
        "the learning rate can't be controlled", calls="configure_optimizers", assigns="optimizer was_initialized"
    ),
    "run_training": _part("epochs can't be counted, saved and stopped", calls=f"{_LOOP} on_train_end"),
    "on_train_start": _part("there is nothing to train on", calls="get_dataloaders", assigns="dataloader_train"),
    "on_train_end": _part("there is no final checkpoint", calls="save_checkpoint", texts="checkpoint_final.pth"),
    "on_epoch_start": _part("the history has gaps", texts="epoch_start_timestamps"),
    "on_epoch_end": _part("epochs are not counted", assigns="current_epoch", texts="epoch_end_timestamps"),
    "on_train_epoch_start": _part("the learning rate never changes", calls="lr_scheduler.step", texts="lrs"),
    "on_train_epoch_end": _part("the history has gaps", texts="train_losses"),
    "on_validation_epoch_end": _part("there is no pseudo-Dice to choose and stop by", texts="mean_fg_dice val_losses"),
    "save_checkpoint": _part("a training can't go on after an interruption", texts=_KEYS),
    "load_checkpoint": _part(
        "a training can't go on after an interruption", calls="logger.load_checkpoint", assigns="current_epoch"
    ),
    "perform_actual_validation": _part("there is no cross-validation Dice", texts="summary.json"),
}
"""By name of a method of nnUNetTrainer. What stands here is what nnU-Net's own method does for control."""
IMPOSED = (
    "num_epochs",
    "num_iterations_per_epoch",
    "num_val_iterations_per_epoch",
    "save_every",
    "disable_checkpointing",
)
"""Attributes that control sets once a trainer is constructed."""


@dataclass(frozen=True)
class Overrides:
    """What the classes between a trainer class and nnUNetTrainer define."""

    classes: Sequence[type]
    """In the order in which Python looks methods up."""
    base: type
    methods: Mapping[type, Mapping[str, Method]]
    hidden: Sequence[str]
    """Methods whose source can't be found."""

    def all_methods(self) -> Iterator[Method]:
        """Yield every method that is defined."""
        for owner in self.classes:
            yield from self.methods[owner].values()

    def chain(self, name: str) -> Iterator[Method]:
        """Yield what is defined under a name, in the order in which super() would come to it."""
        for owner in self.classes:
            if name in self.methods[owner]:
                yield self.methods[owner][name]

    def with_helpers(self, method: Method) -> list[Method]:
        """Return a method and those of the classes' own that it calls, directly or not."""
        found = [method]
        for known in found:
            for call in sorted(known.calls):
                helper = next(self.chain(call), None)
                if helper is not None and call not in PARTS and helper not in found:
                    found.append(helper)
        return found


def overrides_of(trainer: type, base: type) -> Overrides:
    """Return what a trainer class defines beyond `base` (nnUNetTrainer), with all its ancestors up to there."""
    order = inspect.getmro(trainer)
    classes = order[: order.index(base)]
    found = {owner: methods_of(owner) for owner in classes}
    hidden = [f"{owner.__name__}.{name}" for owner, (_, names) in found.items() for name in names if name in PARTS]
    return Overrides(classes, base, {owner: methods for owner, (methods, _) in found.items()}, hidden)


def problems(overrides: Overrides, reserved: Collection[str]) -> list[str]:
    """Return what stands in the way of control, each with its place and remedy.

    `reserved` are the names that control uses for itself.
    """
    return [
        *_missing_parts(overrides),
        *_swallowed_errors(overrides),
        *_wrong_optimizers(overrides),
        *_late_settings(overrides),
        *_taken_names(overrides, reserved),
    ]


def reserved_names(control: type, base: type) -> set[str]:
    """Return the names that control uses for itself, with its ancestors': those that `base` (nnUNetTrainer) lacks."""

    def names(owner: type) -> set[str]:
        assigned = {name for method in methods_of(owner)[0].values() for name in method.assigned}
        return {*vars(owner), *inspect.get_annotations(owner), *assigned}

    order = inspect.getmro(control)
    used = {name for owner in order[: order.index(base)] for name in names(owner)}
    return {name for name in used - names(base) if not name.startswith("__") and not hasattr(base, name)}


def own_epochs(overrides: Overrides) -> str | None:
    """Return the number of epochs that the class sets itself, as it stands in its source; None where it sets none."""
    for method in overrides.chain("__init__"):
        if "num_epochs" in method.assigned:
            return method.value_of("num_epochs")
    return None


def _missing_parts(overrides: Overrides) -> Iterator[str]:
    order = [*overrides.classes, overrides.base]
    for name, part in PARTS.items():
        reached = order[0]
        for method in overrides.chain(name):
            if order.index(method.owner) < order.index(reached):
                continue
            body = overrides.with_helpers(method)
            successors = [owner for known in body if (owner := known.hands_over(name, order))]
            if successors:
                reached = successors[0]
                continue
            missing = _missing(part, body)
            if missing or not part.replaceable:
                does = f" and lacks {', '.join(missing)}" if missing else ""
                yield f"{method.place} does not call super().{name}(){does}: {part.why}. Call super().{name}() in it"
            break


def _missing(part: Part, body: Sequence[Method]) -> list[str]:
    calls = {call for method in body for call in method.calls}
    assigned = {name for method in body for name in method.assigned}
    texts = {text for method in body for text in method.texts}
    return [
        *(f"self.{call}()" for call in sorted(part.calls - calls)),
        *(f"self.{name} = ..." for name in sorted(part.assigns - assigned)),
        *(f'"{text}"' for text in sorted(part.texts) if not any(text in known for known in texts)),
    ]


def _swallowed_errors(overrides: Overrides) -> Iterator[str]:
    """Control leaves the loop by an exception, and failures have to end the attempt."""
    for method in overrides.chain("run_training"):
        for node in ast.walk(method.node):
            if isinstance(node, ast.ExceptHandler) and _catches_all(node.type) and not _raises(node):
                yield (
                    f"{method.place} catches every exception in line {node.lineno} and raises none: a failure would "
                    "look like the end of the training. Raise it again, or catch only what is meant"
                )


def _catches_all(caught: ast.expr | None) -> bool:
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds
    )


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def _wrong_optimizers(overrides: Overrides) -> Iterator[str]:
    method = next(overrides.chain("configure_optimizers"), None)
    if method is None:
        return
    wrong = [value for value in method.returned if not _may_be_a_pair(value)]
    if wrong or not method.returned:
        what = ast.unparse(wrong[0]) if wrong else "nothing"
        yield f"{method.place} returns {what} and must return an optimizer and a learning-rate scheduler"


def _may_be_a_pair(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple | ast.List):
        return len(value.elts) == 2
    return not isinstance(value, ast.Dict | ast.Constant)


def _late_settings(overrides: Overrides) -> Iterator[str]:
    early = [known for method in overrides.chain("__init__") for known in overrides.with_helpers(method)]
    for method in overrides.all_methods():
        late = [name for name in IMPOSED if name in method.assigned]
        if late and method not in early:
            yield (
                f"{method.place} sets {', '.join(late)}, which schedule decides. Leave it to schedule, or set a "
                "default in __init__"
            )


def _taken_names(overrides: Overrides, reserved: Collection[str]) -> Iterator[str]:
    for owner in overrides.classes:
        computed = [name for name in IMPOSED if isinstance(vars(owner).get(name), property)]
        if computed:
            yield f"{owner.__name__} makes a property of {', '.join(computed)}, which must be a plain attribute"
        used = {name for method in overrides.methods[owner].values() for name in method.assigned} | vars(owner).keys()
        if taken := sorted(used & set(reserved)):
            yield f"{owner.__name__} uses the name {', '.join(taken)}, which nnunet-trainer needs. Choose another"
