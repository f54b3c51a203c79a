"""``python -m winback`` is the ``winback`` command."""

from winback.cli import main

main()
