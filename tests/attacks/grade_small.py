"""`coursekit`, with the unit cut down as `arena` cuts it: ``python grade_small.py --course FOLDER grade ...``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "grading"))

from arena import attacked_unit

from coursekit.cli import main

if __name__ == "__main__":
    with attacked_unit():
        sys.exit(main())
