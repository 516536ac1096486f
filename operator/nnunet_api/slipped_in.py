"""What somebody else put into a container of ours, as a webhook of the cluster can: other code than its image's. Pure.

Found by looking at the pod itself and by holding it against its Job. What clusters put into all pods, and by which no
code comes in (service meshes' containers, addresses, proxies, which devices a pod sees), is none of it.
"""

import hashlib
import json
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from nnunet_api.contract import COMMAND, HOME_VARIABLES, SCRATCH_PATH
from nnunet_api.environment import DEVICES_NAMES, OPERATORS_NAMES, OPERATORS_PREFIX, is_refused

Given = tuple[tuple[str, str], ...]
"""What only its Job gives a container: what it is, and a digest of its value."""

_LEADING_PREFIXES = ("TORCHINDUCTOR_", "TRITON_")
_LEADING_NAMES = ("nnUNet_extTrainer", "TORCH_EXTENSIONS_DIR", "CC", "CXX", "XDG_CACHE_HOME", "TMPDIR")
"""By these a training may be led to code: by its spec where no policy forbids it, and by nobody else."""
_COMMAND = "the command"
_EARLIER_COMMAND = "nnunet-trainer"
"""Of Jobs that an earlier operator made: found along a PATH that nothing else may set, either."""
_IMAGE = "image "
MORE = "and more"
"""The last entry of a record that has no room for all: no list of variables can hold it."""
_DATA = "/nnunet"
_SHARED_MEMORY = "/dev/shm"
_COMPILED = f"{SCRATCH_PATH}/torchinductor"
"""How folders begin in which what is compiled for a training is kept, and loaded from."""
_CODE = (
    *("/opt/nnunet", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64"),
    *(
        "/usr/local/bin",
        "/usr/local/sbin",
        "/usr/local/lib",
        "/etc/ld.so.preload",
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
    ),
    *("/etc/ld.so.conf.d", "/etc/ssl/openssl.cnf", "/etc/nccl.conf"),
    # On Debian what lies here has its other name among the libraries.
    "/etc/alternatives",
    # What compilers take in, which torch.compile calls, and Debian's programs in Python.
    *("/usr/include", "/usr/share/python3"),
)
"""Where images built on the trainer image have what they run, and settings that can name a library."""
_CODE_BEGINS = ("/etc/python",)
"""The same, where a version follows: Debian's Python runs /etc/python3.13/sitecustomize.py before all else."""
_NO_CODE = ("/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs", "/usr/lib/locale")
"""What lies among it and is none: clusters give all pods their certificates."""
_HARMLESS_NAMES = (
    *("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONIOENCODING", "PYTHONUTF8"),
    "ENV",  # names a file to interactive shells alone, and an environment to people: production
)
"""Variables that a training may not set, and by which no code comes in: clusters give them to all pods."""
_HOOKS = ("postStart", "preStop")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def of_itself(container: Mapping[str, Any]) -> Iterator[str]:
    """Yield what no container of ours has, whatever its Job says: a webhook may have changed that, too."""
    if container.get("envFrom"):
        yield "envFrom"
    for one in container.get("env") or ():
        name = str(one.get("name") or "")
        # Which devices it sees does no harm: what shares GPUs tells pods without one that they see none.
        home = (name, one.get("value")) in HOME_VARIABLES.items()
        harmless = name in (*DEVICES_NAMES, *_HARMLESS_NAMES) or home
        if is_refused(name) and not _is_operators(name) and not harmless:
            yield name
    if (container.get("command") or [COMMAND]) not in ([COMMAND], [_EARLIER_COMMAND]):
        yield _COMMAND
    if container.get("workingDir"):  # where Python looks first for what it is told to run in a few words
        yield "the working directory"
    hooks = container.get("lifecycle") or {}
    yield from (f"the hook {name}" for name in _HOOKS if (hooks.get(name) or {}).get("exec"))
    yield from (f"the command of {name}" for name in _PROBES if (container.get(name) or {}).get("exec"))
    for one in container.get("volumeMounts") or ():
        path = _mounted(one)
        over = path.startswith(_CODE_BEGINS) or any(_holds(code, path) or _holds(path, code) for code in _CODE)
        if over and not any(_holds(other, path) for other in _NO_CODE):
            yield f"a volume at {path or '/'}"


def given(container: Mapping[str, Any]) -> Given:
    """Return what a container may have from its Job alone."""
    found = [(_COMMAND, _digest([container.get("command"), container.get("args")]))]
    for one in container.get("env") or ():
        name = str(one.get("name") or "")
        if _is_operators(name) or name.startswith(_LEADING_PREFIXES) or name in _LEADING_NAMES:
            found.append((name, _digest([one.get("value"), one.get("valueFrom")])))
    for one in container.get("volumeMounts") or ():
        path = _mounted(one)
        if _holds(_DATA, path) or path == SCRATCH_PATH or path.startswith(_COMPILED):
            found.append(
                (f"a volume at {path}", _digest([one.get("name"), one.get("subPath"), one.get("subPathExpr")]))
            )
    return tuple(dict.fromkeys(found))


def others(asked: Given, has: Given) -> Iterator[str]:
    """Yield what a container has of this that its Job has not given to it."""
    return (what for what, value in has if (what, value) not in asked)


def beside(pod: Mapping[str, Any], ours: Collection[str]) -> Iterator[str]:
    """Yield how other containers of a pod's spec reach into those of ours: what these work with, or their processes.

    A service mesh shares the network alone, a keeper of secrets a volume of its own, and who collects logs only reads.
    """
    containers: Sequence[Mapping[str, Any]] = [
        *(pod.get("initContainers") or ()),
        *(pod.get("containers") or ()),
        *(pod.get("ephemeralContainers") or ()),
    ]
    others = [one for one in containers if one.get("name") not in ours]
    shared = pod.get("shareProcessNamespace")
    # An ephemeral container may join the processes of one alone, as kubectl debug --target does.
    joined = [one for one in others if shared or one.get("targetContainerName") in ours]
    if joined:
        yield f"processes shared with container {joined[0].get('name')}"
    mounts = [mount for one in containers if one.get("name") in ours for mount in one.get("volumeMounts") or ()]
    working = {mount.get("name") for mount in mounts if _is_worked_with(_mounted(mount))}
    claims = {claim for volume in pod.get("volumes") or () if volume.get("name") in working for claim in _claim(volume)}
    working |= {volume.get("name") for volume in pod.get("volumes") or () if claims.intersection(_claim(volume))}
    # The kubelet mounts such a volume so that nobody can write, whatever the mounts say.
    working -= {volume.get("name") for volume in pod.get("volumes") or () if _is_read_only(volume)}
    for one in others:
        written = {str(mount.get("name")) for mount in one.get("volumeMounts") or () if not mount.get("readOnly")}
        yield from (f"{volume} written by container {one.get('name')}" for volume in sorted(written & working))


def _is_worked_with(path: str) -> bool:
    return _holds(_DATA, path) or path in (SCRATCH_PATH, _SHARED_MEMORY) or path.startswith(_COMPILED)


def _claim(volume: Mapping[str, Any]) -> Iterator[str]:
    if name := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
        yield str(name)


def _is_read_only(volume: Mapping[str, Any]) -> bool:
    return bool((volume.get("persistentVolumeClaim") or {}).get("readOnly"))


def between(asked: Mapping[str, Any], has: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all that a container has and its Job's has not."""
    other = other_image(str(asked.get("image") or ""), str(has.get("image") or ""))
    return tuple(dict.fromkeys((*of_itself(has), *others(given(asked), given(has)), *other)))


def other_image(asked: str, runs: str) -> tuple[str, ...]:
    """Return how an image is recorded that is another one than was asked for; nothing where it is that one."""
    return () if same_image(asked, runs) or pins(asked, runs) else (f"{_IMAGE}{runs}",)


def image_in(what: str) -> str:
    """Return the image where an entry of the record is one, or else an empty text."""
    return what.removeprefix(_IMAGE) if what.startswith(_IMAGE) else ""


def is_variable(what: str) -> bool:
    """Tell whether an entry of the record is a variable."""
    return what.isidentifier() and what != "envFrom"


def same_image(asked: str, runs: str) -> bool:
    """Tell whether two references name the same image: by digest wherever it is taken from, or word for word."""
    _, _, digest = asked.partition("@")
    return bool(runs) and (asked == runs or (digest.startswith("sha256:") and runs.endswith(f"@{digest}")))


def pins(asked: str, runs: str) -> bool:
    """Tell whether a reference is the one that was asked for, with a digest that somebody has looked up for its tag.

    Webhooks that check signatures do that; some leave the tag out, or write out what goes without saying (docker.io,
    library, latest). Which image the tag is to name is theirs to say as it is the registry's, so it is no proof of what
    runs.
    """
    if "@" in asked or not re.fullmatch(r".*@sha256:[0-9a-f]{64}", runs):
        return False
    (wanted, asked_tag), (repository, tag) = _parts(asked), _parts(runs.partition("@")[0])
    return wanted == repository and tag in ("", asked_tag or "latest")


def _parts(reference: str) -> tuple[str, str]:
    """Return repository and tag, the repository written out as registries are asked for it."""
    repository, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = reference, ""
    first, slash, _ = repository.partition("/")
    if not slash:
        repository = f"docker.io/library/{repository}"
    elif not ("." in first or ":" in first or first == "localhost"):
        repository = f"docker.io/{repository}"
    return repository, tag


def shown(found: Iterable[str]) -> str:
    """Return what was put in, in words of bounded length."""
    return ", ".join(found)[:200]


def _mounted(mount: Mapping[str, Any]) -> str:
    """Return where a mount is, however that is written; empty for all of the file system."""
    path = posixpath.normpath(f"/{mount.get('mountPath') or ''}").lstrip("/")
    return f"/{path}" if path else ""


def _is_operators(name: str) -> bool:
    return name in OPERATORS_NAMES or name.startswith(OPERATORS_PREFIX)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
