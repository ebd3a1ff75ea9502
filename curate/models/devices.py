"""On what a model that was opened in this process ran."""

from pathlib import Path


def device_names() -> list[str]:
    """Name the kinds of GPU that torch sees; ``cpu`` where it sees none."""
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return list(dict.fromkeys(gpus)) or ["cpu"]


def native_bfloat16() -> bool:
    """Tell whether what torch computes on here multiplies bfloat16 itself, and so faster."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    flags = Path("/proc/cpuinfo")
    text = flags.read_text(encoding="utf-8") if flags.is_file() else ""
    return "amx_bf16" in text or "avx512_bf16" in text
