"""Vouchers: make or import codes, reserve, issue and redeem them."""
