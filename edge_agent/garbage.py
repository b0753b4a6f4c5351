"""How often a process that serves looks for cyclic garbage: seldom, as it makes little.

Reference counts free nearly everything here. A full look goes through every node of the view.
"""

import gc

THRESHOLDS = (50_000, 20, 100)
"""Of new containers, of young looks, of middle ones. Python's own (700, 10, 10) has a look every
few decisions; what cycles there are may keep some ten MB for longer."""


def settle_in() -> None:
    """Clean up after the start, leave what it has built alone, and look seldom from now on.

    For a process that has just come up: nothing that lives now is ever looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
