"""What winback really earned: conversions, lift against the holdout, costs, reports."""
