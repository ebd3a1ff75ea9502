"""Bind vLLM's engine processes to ours, so that none outlives a killed run."""


def bind_to_parent() -> None:
    """Ask the kernel to kill this process when its parent dies; see `curate.backends.vllm`."""
