"""``python -m adasgn_edge``: the command line."""

from adasgn_edge.cli import main

main()
