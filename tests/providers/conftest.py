"""Which tests of this room are collected."""

from tests.left_out import has_specs

collect_ignore = [] if has_specs() else ["test_contract.py"]
