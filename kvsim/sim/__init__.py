"""How time passes: links, tiers, moves and the decode process, on SimPy."""
