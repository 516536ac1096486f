"""What plans may name: the packages, the plain names, and the same in the schema of a training."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from nnunet_api.crd import training_crd
from nnunet_api.plan_rules import configuration_faults, plans_faults
from nnunet_api.training import Planning
from tests.support.networks import small_network

NETWORK = small_network("3d_fullres", [16, 16, 16], [4, 8, 8])


def changed(path: str, value: Any, settings: dict[str, Any] = NETWORK) -> dict[str, Any]:
    """Return the settings with a value at a path like architecture.arch_kwargs.nonlin."""
    settings = copy.deepcopy(settings)
    *parents, last = path.split(".")
    inner = settings
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return settings


CODE = [
    "subprocess.getoutput",
    "os.system",
    "builtins.eval",
    "eval",
    "subprocess.Popen",
    "torch.nn.Module.__init__.__globals__",
    "torch.nn.modules.module.torch.os.system",
    "torch.nn.functional.relu",
    "torch.nn.modules.conv.os.Popen",
    "torch.nn.LeakyReLU.__class__",
    "torch.nn.LeakyReLU\n",
    "torch.hub.load",
    "torch.nnx.ReLU",
    "xtorch.nn.ReLU",
    "torch.nn.init.X.Y",
    "dynamic_network_architectures.building_blocks.helper.np.Popen",
    "dynamic_network_architectures.building_blocks.residual.os.Popen",
    "my_networks.Net",
    "torch.nn.Module()",
    "",
    5,
    ["torch.nn.ReLU"],
]
NOT_PLAIN = [
    "/nnunet/results/radiology/victim",
    "..",
    ".",
    "../victim",
    "a/b",
    "a/../../b",
    "",
    ".hidden",
    "-x",
    "a b",
    "a\n",
    "a\0b",
    "ä",
    5,
    ["a"],
]
NO_CLASS = ["os", "subprocess", "eval", "recursive_find_python_class", "a.B", "os.Popen", "__import__", "X\n", "", 5]
NO_RESAMPLING = ["rmtree", "os", "eval", "resample.x", "resample_x\n", "no_op", "", 5]


def bad_settings() -> Iterator[tuple[str, Any, bool]]:
    """Path, value, and whether the schema can see it; what lies deeper, only the code can."""
    for value in CODE:
        for name in ("conv_op", "norm_op", "dropout_op", "nonlin", "block"):
            yield f"architecture.arch_kwargs.{name}", value, True
        yield "architecture.network_class_name", value, True
        if isinstance(value, str) and "." in value and re.fullmatch(r"[\w.]+", value):
            yield "architecture.arch_kwargs.nonlin_kwargs", {"inplace": value}, False
            yield "architecture.arch_kwargs.norm_op_kwargs", {"a": [{"b": value}]}, False
            yield "architecture.arch_kwargs.other", value, False
    yield "architecture.network_class_name", "torch.nn.Sequential", True
    yield "architecture.network_class_name", "PlainConvUNet", True
    for value in (["conv_op", "cmd"], "conv_op", [5]):
        yield "architecture._kw_requires_import", value, True
    for value in [*NOT_PLAIN, "nnUNetPlans_mine"]:
        yield "data_identifier", value, True
    for value in ["../x", "a/b", "", 5]:
        yield "inherits_from", value, True
        yield "previous_stage", value, True
        yield "next_stage", value, False
        yield "next_stage", ["3d_fullres", value], False
    for value in NO_CLASS:
        yield "preprocessor_name", value, True
        yield "normalization_schemes", ["ZScoreNormalization", value], True
    for value in NO_RESAMPLING:
        for name in ("resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities"):
            yield name, value, True
    yield "architecture", "x", True
    yield "architecture.arch_kwargs", "x", True


BAD = list(bad_settings())


@pytest.mark.parametrize(("path", "value", "seen"), BAD, ids=repr)
def test_what_plans_must_not_name(path: str, value: Any, seen: bool) -> None:
    settings = changed(path, value)
    faults = list(configuration_faults(settings))
    assert faults and faults[0].path.startswith(path), faults
    assert faults[0].remedy and len(str(faults[0])) < 1000
    with pytest.raises(ValidationError, match=re.escape(path.split(".")[-1])):
        Planning.model_validate({"configurations": {"mine": settings}})
    if value == "nnUNetPlans_mine" or path == "architecture._kw_requires_import":
        return  # a planner may write them
    plans = {"plans_name": "nnUNetPlans", "dataset_name": "Dataset001_X", "configurations": {"mine": settings}}
    assert next(plans_faults(plans)).path.startswith("configurations.mine.")


@pytest.mark.parametrize("key", ["plans_name", "dataset_name"])
@pytest.mark.parametrize("value", NOT_PLAIN, ids=repr)
def test_names_of_plans_are_plain(key: str, value: Any) -> None:
    (fault,) = plans_faults({"configurations": {}, key: value})
    assert fault.path == key and fault.value == value


@pytest.mark.parametrize("key", ["image_reader_writer", "label_manager"])
@pytest.mark.parametrize("value", NO_CLASS, ids=repr)
def test_classes_of_plans(key: str, value: Any) -> None:
    (fault,) = plans_faults({"configurations": {}, key: value})
    assert fault.path == key


@pytest.mark.parametrize("plans", [None, [], {}, {"configurations": []}, {"configurations": {"a": 5}}], ids=repr)
def test_what_is_no_plans_file(plans: Any) -> None:
    assert list(plans_faults(plans))


def test_imports_that_plans_list_themselves() -> None:
    """In plans any argument may be imported; each is then a class of the two packages."""
    settings = changed("architecture._kw_requires_import", ["conv_op", "mine"])
    settings["architecture"]["arch_kwargs"]["mine"] = "eval"
    (fault,) = plans_faults({"configurations": {"a": settings}})
    assert fault.path == "configurations.a.architecture.arch_kwargs.mine"


def test_depth_is_bounded() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = {"a": deep}
    (fault,) = configuration_faults({"x": deep})
    assert "nest at most 8" in fault.remedy and fault.path.startswith("x.a.a")


GOOD: list[dict[str, Any]] = [
    {},
    {"inherits_from": "3d_fullres", "batch_size": 4, "patch_size": [64, 64, 64]},
    {"spacing": [1.0, 1.0, 1.0], "use_mask_for_norm": [False], "batch_dice": True, "a": "$(HOME)"},
    NETWORK,
    changed("architecture.arch_kwargs.nonlin", "torch.nn.GELU"),
    changed("architecture.arch_kwargs.nonlin", None),
    changed("architecture.arch_kwargs.block", "dynamic_network_architectures.building_blocks.residual.BottleneckD"),
    changed("architecture.arch_kwargs.dropout_op", "torch.nn.modules.dropout.Dropout3d"),
    changed("architecture.network_class_name", "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"),
    {"preprocessor_name": "DefaultPreprocessor", "normalization_schemes": ["CTNormalization", "NoNormalization"]},
    {
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "force_separate_z": None},
        "resampling_fn_seg": "resample_torch_fornnunet",
        "resampling_fn_probabilities": "no_resampling_hack",
    },
    {"next_stage": "3d_cascade_fullres", "previous_stage": "3d_lowres"},
    {"next_stage": ["a", "b"]},
]


@pytest.mark.parametrize("settings", GOOD, ids=repr)
def test_what_plans_may_name(settings: dict[str, Any]) -> None:
    assert list(configuration_faults(settings)) == []
    parsed = Planning.model_validate({"configurations": {"mine": settings}})
    assert parsed.configurations == {"mine": settings}, "what is not checked is kept as it is"
    own = {**settings, "data_identifier": "nnUNetPlans_mine"}
    assert list(plans_faults({"plans_name": "nnUNetResEncUNetMPlans", "configurations": {"mine": own}})) == []


SPEC = training_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
SCHEMA = SPEC["properties"]["planning"]["properties"]["configurations"]["additionalProperties"]


def refused(schema: dict[str, Any], value: Any) -> bool:
    """Tell whether the schema refuses the value: the part of the API server's rules that this schema uses."""
    kinds = {"string": str, "object": dict, "array": list}
    if value is None:
        return not schema.get("nullable", False)
    if not isinstance(value, kinds[schema["type"]]):
        return True
    if isinstance(value, str):
        pattern = schema.get("pattern", "")
        return not re.search(pattern.replace("$", r"\Z"), value) or value not in schema.get("enum", [value])
    if isinstance(value, list):
        return any(refused(schema["items"], item) for item in value)
    if "x-kubernetes-validations" in schema and "data_identifier" in value:
        return True
    return any(refused(inner, value[name]) for name, inner in schema["properties"].items() if name in value)


@pytest.mark.parametrize(("path", "value", "seen"), BAD, ids=repr)
def test_the_schema_refuses_what_it_can_see(path: str, value: Any, seen: bool) -> None:
    assert refused(SCHEMA, changed(path, value)) is seen


@pytest.mark.parametrize("settings", GOOD, ids=repr)
def test_the_schema_takes_what_may_be(settings: dict[str, Any]) -> None:
    assert not refused(SCHEMA, settings)
    assert SCHEMA["x-kubernetes-preserve-unknown-fields"] is True
    assert json.dumps(SCHEMA)
