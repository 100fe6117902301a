"""The whole catalogue, by name."""

from __future__ import annotations

import escaping
import exhausting
import forging
import mishaps
import vandalism
from attack import Attack

ATTACKS: dict[str, Attack] = {}
for module in (exhausting, escaping, forging, vandalism, mishaps):
    for attack in module.ATTACKS:
        if attack.name in ATTACKS:
            raise ValueError(f"two attacks are called {attack.name!r}.")
        ATTACKS[attack.name] = attack
