"""What is wrong with a field, in words for somebody who has never read a schema. Pure."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

FORMS: Mapping[str, str] = {
    r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$": "a quantity of Kubernetes, such as 500m, 4G or 16Gi (no B)",
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": "a name of lower-case letters, digits, '-' and '.', such as nnunet-raw",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$": (
        "a name of lower-case letters, digits, '-' and '.', such as gpus"
    ),
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$": "a name of lower-case letters, digits and '-'",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "a name of letters, digits and '_' that begins with no digit",
    r"^[A-Za-z0-9_]+$": "a name of letters, digits and '_', such as 3d_fullres",
    r"^[A-Za-z0-9]([A-Za-z0-9_]*[A-Za-z0-9])?$": (
        "a name of letters, digits and '_', such as 3d_fullres, that neither begins nor ends with '_'"
    ),
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$": "the name of a folder, of letters, digits, '_', '.' and '-'",
    r"^Dataset[0-9]{3}_[A-Za-z0-9_-]+$": "a dataset's name in nnU-Net's form, such as Dataset004_Hippocampus",
    r"^[!-~]*$": "an image without a blank in it, such as registry.example.org/trainer:1.0",
    r"^[^\x00-\x1f\x7f]*\.pth$": "the path of a checkpoint that ends with .pth, without control characters",
    r"^(all|[0-9]{1,2})$": "a fold: a number, or all",
    r"^[^\x00-\x1f\x7f]*$": "a folder without control characters in its name",
    r"^(([A-Za-z0-9][A-Za-z0-9.-]*/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$": (
        "the key of a label or taint, such as nvidia.com/gpu"
    ),
    r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$": "a label's or taint's value: letters, digits, '_', '.' and '-'",
    r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$": "a label's value: up to 63 letters, digits, '_.-'",
    r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$": (
        "the name of a profile, such as profiles/trainer.json, of letters, digits, '-', '_', '.' and '/'; no part of "
        "it begins with '.'"
    ),
    r"^[a-zA-Z0-9:.,-]+$": "a level of SELinux, such as s0:c123,c456",
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$": "a name of lower-case letters, digits, '-' and '.', or nothing",
    r"^[-._a-zA-Z0-9]+$": "a key of letters, digits, '-', '_' and '.'",
    r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$": "a resource that a device plugin announces, such as nvidia.com/gpu",
}
"""What a pattern of the API asks for, in words."""
_DEPTH = 6
_CLOSE_BESIDE, _CLOSE = 0.65, 0.75
"""How alike two names are, at the same place and elsewhere."""


def pattern_words(pattern: str) -> str:
    """Return what a pattern asks for; the pattern itself where it has no words."""
    return f"must be {FORMS[pattern]}" if pattern in FORMS else f"must match {pattern}"


def meant(model: type[BaseModel], field: str) -> str:
    """Return the field of a spec that somebody most likely meant by one that does not exist, or "".

    `field` is its whole path, such as spec.epoch.
    """
    parent, _, name = field.rpartition(".")
    paths = list(dict.fromkeys(_paths(model)))
    beside = [path for path in paths if path.rpartition(".")[0] == parent]
    for among, close_enough in ((beside, _CLOSE_BESIDE), (paths, _CLOSE)):
        # Of several of the same name the one that is least deep.
        leaves = {path.rpartition(".")[2]: path for path in sorted(among, key=lambda path: -path.count("."))}
        lower = {leaf.lower(): path for leaf, path in leaves.items()}
        close = difflib.get_close_matches(name.lower(), list(lower), 1, close_enough)
        if close:
            return lower[close[0]]
    return ""


def _paths(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema(by_alias=True)
    return _below("spec", schema, schema.get("$defs", {}), _DEPTH)


def _below(path: str, schema: Any, definitions: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield the paths of all fields below one; the items of a list have the path of the list."""
    if not isinstance(schema, Mapping) or not depth:
        return
    reference = str(schema.get("$ref", "")).rpartition("/")[2]
    if reference:
        yield from _below(path, definitions.get(reference), definitions, depth)
    for part in (*schema.get("anyOf", ()), *schema.get("allOf", ()), schema.get("items")):
        yield from _below(path, part, definitions, depth)
    for name, below in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _below(f"{path}.{name}", below, definitions, depth - 1)
