"""The generated files are what `make generate` writes, and kustomize puts the user's images in place."""

import subprocess
import sys
from pathlib import Path

import yaml

from hack.generate.files import difference, generated
from hack.prepare.helm import ROOT
from nnunet_cli.volumes.helper import Image
from nnunet_cli.volumes.images import image_of_definition

KUBECTL = Path(sys.executable).parent / "kubectl"


def test_generated_files_are_current() -> None:
    stale = [difference(path, text) for path, text in generated().items()]
    assert "".join(stale) == "", "run `make generate`"


def test_kustomize_sets_both_images() -> None:
    done = subprocess.run(
        [str(KUBECTL), "kustomize", str(ROOT / "manifests")], capture_output=True, text=True, timeout=60, check=True
    )
    objects = list(yaml.safe_load_all(done.stdout))
    (deployment,) = [thing for thing in objects if thing["kind"] == "Deployment"]
    (operator,) = deployment["spec"]["template"]["spec"]["containers"]
    env = {variable["name"]: variable["value"] for variable in operator["env"]}
    assert operator["image"] == "registry.example.org/nnunet-operator:0.1.0"
    assert env["NNUNET_OPERATOR_TRAINER_IMAGE"] == "registry.example.org/nnunet-trainer:0.1.0"
    assert env["NNUNET_OPERATOR_LOG_LEVEL"] == "INFO"
    (definition,) = [thing for thing in objects if thing["metadata"]["name"] == "nnunettrainings.nnunet.dev"]
    assert image_of_definition(definition) == Image("registry.example.org/nnunet-trainer:0.1.0")
    kinds = {thing["kind"] for thing in objects}
    assert kinds == {
        "Namespace",
        "CustomResourceDefinition",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Service",
        "Deployment",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
