"""Computing on the cores this process may use, and on no others."""

import os

from joblib import cpu_count


def use_own_cores() -> None:
    """Have torch use no more threads than there are cores for this process.

    torch counts cores it is bound to; a container's quota it does not see, and sixty-four threads
    that share four cores' time wait for one another. ``OMP_NUM_THREADS``, where it is set, stands.
    """
    import torch

    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(min(torch.get_num_threads(), cpu_count(only_physical_cores=True)))
