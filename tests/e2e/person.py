"""Somebody who works with the command line, with no more rights than the documentation asks for."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.demo.dataset import write_dataset
from tests.e2e.conftest import PROGRAM, Lab
from tests.support.small_training import DATASET

RIGHTS = [
    {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "delete"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]},
]


@dataclass
class Person:
    """Somebody with a folder and a kubeconfig. They name no image: the chart's is taken."""

    folder: Path
    kubeconfig: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        # A shell lets what it runs in the background, these tests for example, ignore Ctrl-C; a person's does not.
        command = ["env", "--default-signal=INT", PROGRAM, *words]
        out, err = subprocess.PIPE, subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=env, stdout=out, stderr=err, text=True)

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command and return what it says."""
        return "".join(self._run(words, code))

    def data(self, *words: str) -> Any:
        """Run a command with -o json and return its data."""
        return json.loads(self._run((*words, "-o", "json"), 0)[0])

    def _run(self, words: Sequence[str], code: int) -> tuple[str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, f"{' '.join(words)}: {process.returncode}\n{out}\n{err}"
        return out, err


def make_person(lab: Lab, namespace: str, folder: Path, dataset: str) -> Person:
    """Return somebody who may do in a namespace what the documentation names, with a dataset of this name."""
    account = {"kind": "ServiceAccount", "name": "sender", "namespace": namespace}
    metadata = {"name": "sender", "namespace": namespace}
    rbac = "rbac.authorization.k8s.io"
    lab.kube.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": RIGHTS},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "sender"},
            "subjects": [account],
        },
    )
    config = json.loads(lab.cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": lab.kube.run("create", "token", "sender", "-n", namespace).strip()}
    config["contexts"][0]["context"]["namespace"] = namespace
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    write_dataset(folder)
    (folder / DATASET).rename(folder / dataset)
    return Person(folder, kubeconfig)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
