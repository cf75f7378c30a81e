"""Write the sample bag: `python bags/make_sample_bag.py OUT.mcap`, with the package installed.

`diff-planner demo` makes the same bag by itself.  What is in it: bags/README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from diff_planner.data.sample_bag import make_sample_bag
from diff_planner.errors import DiffPlannerError


def main() -> int:
    """Read the arguments and write the bag; return 0, or 2 when it cannot be written."""
    parser = argparse.ArgumentParser(description="Write the synthetic sample bag.")
    parser.add_argument("out", type=Path, help="bag to write; a name with .mcap gives one file")
    parser.add_argument("--seed", type=int, default=0, help="of colours, gaps, textures and noise")
    parser.add_argument("--duration", type=float, default=5.0, help="seconds, at most 12")
    arguments = parser.parse_args()
    try:
        make_sample_bag(arguments.out, arguments.seed, arguments.duration)
    except DiffPlannerError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
