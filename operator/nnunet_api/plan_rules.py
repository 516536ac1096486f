"""What nnU-Net's plans may name. nnU-Net makes paths of some of their values and imports or calls what others name.

Read in nnU-Net 2.8.1: `get_network_from_plans` hands network_class_name and the arguments that _kw_requires_import
lists to `pydoc.locate`; `recursive_find_python_class` takes any attribute of that name that a module of a folder of
nnU-Net's has, also one that the module has only imported; data_identifier, dataset_name, plans_name and the names of
stages are joined to paths, and preprocessing removes what is at the first of them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""A name that stays in the folder that it is joined to."""
CONFIGURATION_NAME = r"^[A-Za-z0-9_]+$"
IDENTIFIER = r"^[A-Za-z_][A-Za-z0-9_]*$"
CLASS_NAME = r"^[A-Z][A-Za-z0-9_]*$"
"""A class by nnU-Net's naming: with a capital, unlike the modules and functions that the same search would find."""
RESAMPLING_NAME = r"^(no_)?resampl[a-z0-9_]*$"
"""A resampling function by nnU-Net's naming."""
NETWORK_CLASS = r"^dynamic_network_architectures\.architectures\.[a-z][a-z0-9_]*\.[A-Z][A-Za-z0-9_]*$"
IMPORTED_CLASS = (
    r"^(torch\.nn|torch\.nn\.modules\.[a-z][a-z0-9_]*|"
    r"dynamic_network_architectures\.(architectures|building_blocks)\.[a-z][a-z0-9_]*)\.[A-Z][A-Za-z0-9_]*$"
)
"""A class right in a module of these packages: nothing that the module has imported from elsewhere is reached."""
IMPORTED_ARGUMENTS = ("conv_op", "norm_op", "dropout_op", "nonlin", "block")
"""Arguments of the networks in dynamic_network_architectures that are classes."""
LONGEST_NAME = 128
LONGEST_IMPORT = 256
MOST_SETTINGS = 64
"""Keys of a configuration; nnU-Net's own have some 20."""
DEEPEST = 8
"""Levels of objects and lists in a configuration; nnU-Net's own have four."""

_REQUIRES = "_kw_requires_import"
_STAGES = ("inherits_from", "previous_stage", "next_stage")
_RESAMPLING = ("resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities")
_BY_CLASS_NAME = ("preprocessor_name", "UNet_class_name")
_OF_PLANS = {
    "dataset_name": PLAIN_NAME,
    "plans_name": PLAIN_NAME,
    "image_reader_writer": CLASS_NAME,
    "label_manager": CLASS_NAME,
    "experiment_planner_used": IDENTIFIER,
}
_LOOKS_IMPORTED = re.compile(r"[A-Za-z_]\w*(\.\w+)+")

_NAME = "give a plain name of letters, digits, _, . and -, which begins with a letter or digit"
_CONFIGURATION = "give the name of a configuration: letters, digits and _"
_CLASS = "give the name of a class in nnU-Net, which begins with a capital letter"
_RESAMPLE = "give the name of one of nnU-Net's resampling functions, for example resample_data_or_seg_to_shape"
_IMPORT = "give a class of torch.nn or dynamic_network_architectures by its full name, for example torch.nn.LeakyReLU"
_NETWORK = (
    "give a class of dynamic_network_architectures.architectures by its full name, for example "
    "dynamic_network_architectures.architectures.unet.PlainConvUNet; a network of your own is built by a trainer class "
    "in the image (build_network_architecture), see trainer.className"
)
_OURS = "leave it out: it is made of the names of the plans and of the configuration"


@dataclass(frozen=True)
class Fault:
    """A value that nnU-Net must not get."""

    path: str
    """Where it stands, for example architecture.arch_kwargs.nonlin."""
    value: Any
    remedy: str

    def __str__(self) -> str:
        return f"{self.path} is {str(self.value)[:200]!r}: {self.remedy}"


def plans_faults(plans: Any) -> Iterator[Fault]:
    """Return what is wrong with the plans, all configurations included."""
    if not isinstance(plans, Mapping) or not isinstance(plans.get("configurations"), Mapping):
        yield Fault("configurations", type(plans).__name__, "plans are an object that holds configurations by name")
        return
    for key, pattern in _OF_PLANS.items():
        remedy = _CLASS if pattern == CLASS_NAME else _NAME
        yield from _unless_matching(key, plans.get(key), pattern, remedy)
    for name, settings in plans["configurations"].items():
        path = f"configurations.{name}"
        yield from _unless_matching(path, name, PLAIN_NAME, _NAME)
        if not isinstance(settings, Mapping):
            yield Fault(path, settings, "a configuration is an object")
            continue
        yield from _unless_matching(f"{path}.data_identifier", settings.get("data_identifier"), PLAIN_NAME, _NAME)
        for fault in _settings_faults(settings):
            yield Fault(f"{path}.{fault.path}", fault.value, fault.remedy)


def configuration_faults(settings: Mapping[str, Any]) -> Iterator[Fault]:
    """Return what is wrong with a configuration that a training brings."""
    if "data_identifier" in settings:
        yield Fault("data_identifier", settings["data_identifier"], _OURS)
    yield from _settings_faults(settings)
    architecture = settings.get("architecture")
    for place, name in enumerate(_list(architecture.get(_REQUIRES)) if isinstance(architecture, Mapping) else []):
        if name not in IMPORTED_ARGUMENTS:
            remedy = f"arguments that are imported are {', '.join(IMPORTED_ARGUMENTS)}"
            yield Fault(f"architecture.{_REQUIRES}[{place}]", name, remedy)


def _settings_faults(settings: Mapping[str, Any]) -> Iterator[Fault]:
    if deep := _deeper_than(settings, DEEPEST):
        yield Fault(deep, "deeper", f"nest at most {DEEPEST} levels of objects and lists")
        return
    for key in _STAGES:
        stages = settings.get(key)
        for stage in stages if key == "next_stage" and isinstance(stages, list | tuple) else [stages]:
            yield from _unless_matching(key, stage, CONFIGURATION_NAME, _CONFIGURATION)
    for key in _BY_CLASS_NAME:
        yield from _unless_matching(key, settings.get(key), CLASS_NAME, _CLASS)
    for key in _RESAMPLING:
        yield from _unless_matching(key, settings.get(key), RESAMPLING_NAME, _RESAMPLE)
    for place, scheme in enumerate(_list(settings.get("normalization_schemes"))):
        yield from _unless_matching(f"normalization_schemes[{place}]", scheme, CLASS_NAME, _CLASS)
    architecture = settings.get("architecture")
    if architecture is not None:
        yield from _architecture_faults(architecture)


def _architecture_faults(architecture: Any) -> Iterator[Fault]:
    if not isinstance(architecture, Mapping):
        yield Fault("architecture", architecture, "an architecture is an object")
        return
    network = architecture.get("network_class_name")
    yield from _unless_matching("architecture.network_class_name", network, NETWORK_CLASS, _NETWORK)
    names = architecture.get(_REQUIRES)
    if names is not None and not (isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)):
        yield Fault(f"architecture.{_REQUIRES}", names, "give a list of names of arguments")
        names = []
    arguments = architecture.get("arch_kwargs")
    if arguments is None:
        return
    if not isinstance(arguments, Mapping):
        yield Fault("architecture.arch_kwargs", arguments, "arguments are an object")
        return
    imported = {*IMPORTED_ARGUMENTS, *(names or [])}
    for key, value in arguments.items():
        path = f"architecture.arch_kwargs.{key}"
        if key in imported:
            yield from _unless_matching(path, value, IMPORTED_CLASS, _IMPORT)
        else:
            yield from _import_faults(path, value)


def _deeper_than(value: Any, levels: int) -> str:
    """Return the way to something that is nested in more levels than these; an empty string where nothing is."""
    if not isinstance(value, Mapping | list | tuple):
        return ""
    if levels == 0:
        return "."
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
    return next((f"{key}.{way}".rstrip(".") for key, inner in pairs if (way := _deeper_than(inner, levels - 1))), "")


def _import_faults(path: str, value: Any) -> Iterator[Fault]:
    """Return what looks like something to import and is none of what may be, however deep it is."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _import_faults(f"{path}.{key}", inner)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _import_faults(f"{path}[{place}]", inner)
    elif isinstance(value, str) and _LOOKS_IMPORTED.fullmatch(value):
        yield from _unless_matching(path, value, IMPORTED_CLASS, _IMPORT)


def _unless_matching(path: str, value: Any, pattern: str, remedy: str) -> Iterator[Fault]:
    # In Python `$` takes a line end before it, too.
    if value is not None and not (isinstance(value, str) and re.fullmatch(pattern, value)):
        yield Fault(path, value, remedy)


def _list(value: Any) -> list[Any]:
    """Return the entries of a list; anything else as the only entry of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    for fault in configuration_faults(settings):
        # Not a ValueError: pydantic would put two words of its own in front.
        raise PydanticCustomError("plan_configuration", "{fault}", {"fault": str(fault)})
    return settings


def _text(pattern: str, description: str, longest: int = LONGEST_NAME) -> dict[str, Any]:
    return {
        "type": "string",
        "nullable": True,
        "maxLength": longest,
        "pattern": pattern,
        "description": description,
    }


def _free(properties: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "nullable": True,
        "description": description,
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": properties,
    }


def _names(items: dict[str, Any], description: str) -> dict[str, Any]:
    return {"type": "array", "nullable": True, "maxItems": 64, "items": items, "description": description}


_ARCHITECTURE = _free(
    {
        "network_class_name": _text(
            NETWORK_CLASS, "Class of the network, in dynamic_network_architectures.architectures.", LONGEST_IMPORT
        ),
        "arch_kwargs": _free(
            {
                name: _text(IMPORTED_CLASS, "Class of torch.nn or dynamic_network_architectures.", LONGEST_IMPORT)
                for name in IMPORTED_ARGUMENTS
            },
            "Arguments of the network.",
        ),
        _REQUIRES: _names(
            {"type": "string", "enum": list(IMPORTED_ARGUMENTS)}, "Names of the arguments that are classes."
        ),
    },
    "The network.",
)

_SCHEMA: dict[str, Any] = {
    "x-kubernetes-preserve-unknown-fields": True,
    "maxProperties": MOST_SETTINGS,
    "properties": {
        "data_identifier": {"type": "string", "maxLength": LONGEST_NAME, "description": "Not to be given."},
        "inherits_from": _text(CONFIGURATION_NAME, "Configuration that this one starts from."),
        "previous_stage": _text(CONFIGURATION_NAME, "Configuration of the stage before, in a cascade."),
        "preprocessor_name": _text(CLASS_NAME, "Class of nnU-Net's that preprocesses."),
        "normalization_schemes": _names(
            _text(CLASS_NAME, "Class of nnU-Net's that normalizes a channel."),
            "How each channel is normalized.",
        ),
        **{name: _text(RESAMPLING_NAME, "Function of nnU-Net's that resamples.") for name in _RESAMPLING},
        "architecture": _ARCHITECTURE,
    },
    "x-kubernetes-validations": [{"rule": "!has(self.data_identifier)", "message": f"data_identifier: {_OURS}"}],
}

PlanConfiguration = Annotated[
    dict[str, Any],
    Field(max_length=MOST_SETTINGS),
    AfterValidator(_checked),
    Field(json_schema_extra=_SCHEMA),
]
"""A configuration that a training brings, in the form of nnU-Net's plans file."""
