"""Environment variables of the trainer: which no training may set, and which values nnU-Net can read."""

import re

OPERATORS_NAMES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
OPERATORS_PREFIX = "NNUNET_RUN_"
"""What the operator itself sets."""

LOADERS_PREFIXES = ("LD_", "DYLD_", "PYTHON", "BASH_")
DEVICES_NAMES = (
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_MIG_CONFIG_DEVICES",
    "NVIDIA_MIG_MONITOR_DEVICES",
    "NVIDIA_IMEX_CHANNELS",
    "NVIDIA_GDS",
    "NVIDIA_MOFED",
    "NVIDIA_GDRCOPY",
    "NVIDIA_NVSWITCH",
    "AMD_VISIBLE_DEVICES",
    "HABANA_VISIBLE_DEVICES",
    "ASCEND_VISIBLE_DEVICES",
)
"""What the container runtime acts upon: which devices a pod sees, whatever it asked Kubernetes for."""
LOADERS_NAMES = (
    # the dynamic loader and the C library
    "GLIBC_TUNABLES",
    "GCONV_PATH",
    "LOCPATH",
    # shells, and what finds programs and start-up files for all
    "PATH",
    "HOME",
    "ENV",
    "IFS",
    "PS4",
    "SHELLOPTS",
    "BASHOPTS",
    # the interpreter's library and those that nnU-Net loads: they run or load what the variable names
    "BROWSER",
    "MPLBACKEND",
    "MPLCONFIGDIR",
    "MATPLOTLIBRC",
    "XDG_CONFIG_HOME",
    "ITK_AUTOLOAD_PATH",
    "OMP_TOOL_LIBRARIES",
    "CUDA_INJECTION32_PATH",
    "CUDA_INJECTION64_PATH",
    "NVTX_INJECTION64_PATH",
    "NCCL_CONF_FILE",
    "NCCL_ENV_PLUGIN",
    "NCCL_GIN_PLUGIN",
    "NCCL_NET_PLUGIN",
    "NCCL_PROFILER_PLUGIN",
    "NCCL_TUNER_PLUGIN",
    "IBV_DRIVERS",
    "RDMAV_DRIVERS",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "OPENSSL_ENGINES",
    *DEVICES_NAMES,
)
"""What the loader, the interpreter, shells, libraries or the container runtime act upon before the program can look, or
by which they run other code than the image's. Which of all others are harmless depends on the image: policies say which
may be set (allowedEnv)."""

VALUES = {
    "nnUNet_n_proc_DA": ("[0-9]{1,4}", "a whole number: of workers that augment, 0 for none"),
    "nnUNet_def_n_proc": ("[1-9][0-9]{0,3}", "a whole number from 1: of worker processes"),
    # nnU-Net takes all others for false, without a word.
    "nnUNet_compile": ("[Tt]|[Tt]rue|TRUE|1|[Ff]|[Ff]alse|FALSE|0", "true or false"),
    "nnUNet_wandb_enabled": ("0|1|[Tt]rue|[Ff]alse", "0 or 1"),
}
"""Variables of nnU-Net 2.8 whose values it reads as something else than text: what it can read, as a regular
expression, and in words."""


def value_fault(name: str, value: str) -> str:
    """Return what is wrong with the value of a variable; empty where nothing is known to be."""
    pattern, wanted = VALUES.get(name, ("", ""))
    return f"{name} is {value!r}, must be {wanted}" if wanted and not re.fullmatch(pattern, value) else ""


def value_rules() -> list[tuple[str, str]]:
    """CEL rules over a variable: (rule, message)."""
    return [
        (
            f"self.name != '{name}' || has(self.valueFrom) || (has(self.value) && self.value.matches('^({pattern})$'))",
            f"{name} must be {wanted}",
        )
        for name, (pattern, wanted) in VALUES.items()
    ]


def is_refused(name: str) -> bool:
    """Say whether no training may set a variable."""
    prefixes = (OPERATORS_PREFIX, *LOADERS_PREFIXES)
    return name.startswith(prefixes) or name in (*OPERATORS_NAMES, *LOADERS_NAMES)


def refusal_rules() -> list[tuple[str, str]]:
    """CEL rules over the name of a variable: (rule, message)."""
    loaders = " || ".join(f"self.startsWith('{prefix}')" for prefix in LOADERS_PREFIXES)
    return [
        (
            f"!(self in {list(OPERATORS_NAMES)}) && !self.startsWith('{OPERATORS_PREFIX}')",
            "is set by the operator: use dataset and storage instead",
        ),
        (
            f"!(self in {list(LOADERS_NAMES)} || {loaders})",
            "makes the loader, the interpreter, a shell or the container runtime run other code than the image's, or "
            "give other GPUs: put it into the image (ENV of its Dockerfile), where its digest covers it",
        ),
    ]
