"""`coursekit` on the cut-down unit, for runs in processes of their own: ``python graded_small.py --course FOLDER grade ...``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from room import small_unit

from coursekit.cli import main

if __name__ == "__main__":
    with small_unit():
        sys.exit(main())
