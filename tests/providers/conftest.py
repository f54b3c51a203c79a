"""Which tests of this room are collected."""

from tests.left_out import has_lists_spec, has_logs_spec, has_specs

collect_ignore = [] if has_specs() else ["test_contract.py", "test_contract_lookups.py"]
if not has_logs_spec():
    collect_ignore.append("test_contract_logs.py")
if not has_lists_spec():
    collect_ignore.append("test_contract_lists.py")
