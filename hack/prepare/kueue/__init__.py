"""Kueue, which queues Jobs by quota; built once from its Go module, and its chart's manifests.

It is Kueue's own source with two exceptions, which stand in `source/` as they are laid over it. Of the integrations
only that of Jobs is linked. And its go.mod asks for the versions that the local cluster is built with: what both have
in common, which is most, is then compiled for both at once, and the build takes two minutes of a processor in place of
nine. The API of Kubeflow's trainer, of which Kueue then only needs a name, does not compile against these versions.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from hack.fetch import fetch
from hack.localcluster.build import find_go, go_release
from hack.localcluster.console import Console
from hack.localcluster.layout import cache_root
from hack.localcluster.once import made_once
from hack.prepare.gomodule import module_folder
from hack.prepare.helm import helm

MODULE = "sigs.k8s.io/kueue"
VERSION = "v0.17.0"
SUM = "h1:7hzb38M4eKGzYW+CFv2s1L+swzzacUCHOCXxZmAV90I="
NAMESPACE = "kueue-system"
_SOURCE = Path(__file__).with_name("source")
_FLAGS = ("-trimpath", "-buildvcs=false", "-ldflags=-s -w")


def kueue_binary() -> Path:
    """Return the program. A cold build after that of Kubernetes takes about two minutes on 2 cores.

    Raises RuntimeError where it can't be built.
    """
    program = cache_root() / f"kueue-{VERSION}-{_digest()}"
    return made_once(program, lambda: _build(program))


def kueue_manifests() -> list[dict[str, Any]]:
    """Return the objects of Kueue's own chart."""
    chart = module_folder(MODULE, VERSION, SUM) / "charts" / "kueue"
    text = helm("template", "kueue", str(chart), "--namespace", NAMESPACE)
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def _digest() -> str:
    digest = hashlib.sha256(" ".join((*_FLAGS, go_release())).encode())
    for path in sorted(filter(Path.is_file, _SOURCE.rglob("*"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _build(program: Path) -> None:
    console = Console()
    console.say(f"building Kueue {VERSION} from source, once: a few minutes")
    tree = program.with_suffix(".source")
    shutil.rmtree(tree, ignore_errors=True)
    # Modules lie in the cache without write bits, and Go replaces no files there.
    shutil.copytree(module_folder(MODULE, VERSION, SUM), tree, copy_function=shutil.copyfile)
    for folder in (tree, *filter(Path.is_dir, tree.rglob("*"))):
        folder.chmod(0o755)
    shutil.copytree(_SOURCE, tree, dirs_exist_ok=True)
    partial = program.with_suffix(".partial")
    # The flags but for -ldflags are those of the local cluster, or nothing that is compiled would be shared.
    command = [str(find_go(console)), "build", *_FLAGS, "-o", str(partial), "./cmd/kueue"]
    env = {"GOGC": "400", **os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    done = fetch(command, cwd=tree, env=env, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"go build of Kueue failed:\n{done.stderr[-2000:]}")
    shutil.rmtree(tree)
    partial.rename(program)
