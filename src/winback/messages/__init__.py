"""Templates: find, compile, publish, render, lint, count segments, and the links in them."""
