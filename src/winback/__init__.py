"""winback: an automated e-mail and text pipeline that wins lapsed customers back.

Importing this package touches no file, engine, client or clock.
"""

__version__ = "0.1.0"
