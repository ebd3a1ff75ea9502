"""On what a model that was opened in this process ran."""


def device_names() -> list[str]:
    """Name the kinds of GPU that torch sees; ``cpu`` where it sees none."""
    import torch

    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return list(dict.fromkeys(gpus)) or ["cpu"]
