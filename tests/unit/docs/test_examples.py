"""The files of an example agree with each other and with the API."""

import ast
import re
from pathlib import Path

import yaml

from nnunet_api.training import NnunetTrainingSpec

EXAMPLE = Path(__file__).parents[3] / "docs/examples/custom-trainer"


def test_custom_trainer() -> None:
    training = yaml.safe_load((EXAMPLE / "training.yaml").read_text())
    trainer = NnunetTrainingSpec.model_validate(training["spec"]).trainer
    dockerfile = (EXAMPLE / "Dockerfile").read_text()
    (source, target) = re.findall(r"^COPY (\S+) (\S+)$", dockerfile, re.MULTILINE)[0]
    assert f"ENV nnUNet_extTrainer={target}\n" in dockerfile
    assert f"find_trainer('{trainer.class_name}')" in dockerfile
    files = list((EXAMPLE / source).glob("*.py"))
    trees = {file: ast.parse(file.read_text()) for file in files}
    classes = {node.name for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    assert trainer.class_name in classes
    read = "".join(file.read_text() for file in files)
    assert all(f'"{variable.name}"' in read for variable in trainer.env)
