"""The Prometheus operator's own definitions of its kinds, from its Go module."""

from pathlib import Path

from hack.prepare.gomodule import module_folder

MODULE = "github.com/prometheus-operator/prometheus-operator"
VERSION = "v0.85.0"
SUM = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
GROUP = "monitoring.coreos.com"
KINDS = ("podmonitors", "servicemonitors", "prometheusrules")


def definitions() -> list[Path]:
    """Return the CustomResourceDefinitions of `KINDS`. Raises RuntimeError where they can't be had."""
    folder = module_folder(MODULE, VERSION, SUM) / "example" / "prometheus-operator-crd"
    return [folder / f"{GROUP}_{kind}.yaml" for kind in KINDS]
