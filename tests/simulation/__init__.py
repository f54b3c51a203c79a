"""A year of a small town, played from one seed: every promise is checked after every step."""
