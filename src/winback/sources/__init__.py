"""Where customers and purchases come from: files and queries, taken in bulk, safe to repeat."""
