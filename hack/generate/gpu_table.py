"""The table of what each kind of GPU wants, in Markdown, from the one that the product itself uses."""

from nnunet_api.data_feed import ANY_GPU, GPUS


def gpu_table() -> str:
    """Return a row for each kind of GPU."""
    lines = ["| GPU | `cpu` for each | `memory` | `sharedMemory` | source of `cpu` |", "|---|---|---|---|---|"]
    for row in (*GPUS, ANY_GPU):
        lines.append(f"| {row.gpu} | {row.cpu} | {row.memory} | {row.shared_memory} | {row.source} |")
    return "\n".join(lines)
