"""Take the front page's picture: the report of the demo, as a browser shows its top.

python -m tests.bench.screenshot [RUN] [PNG]
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from curate.report.html.page import write_report
from tests.curate.report.html.browser import opened

WIDTH, HEIGHT = 1240, 1450


def main(run: str = "runs/quickstart", png: str = "recipes/quickstart.png") -> None:
    """Write the picture.

    Args:
        run: folder of the demo's run.
        png: the file.
    """
    with TemporaryDirectory() as scratch:
        page = write_report(Path(run), Path(scratch) / "report.html")
        with opened(page, WIDTH) as there:
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT}
            there.page.screenshot(path=png, clip=clip, full_page=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
