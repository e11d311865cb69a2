"""``python -m ranksearch``."""

from .cli import main

main()
