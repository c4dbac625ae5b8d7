"""``adasgn-edge train``."""
