"""Thin Prefect flows, one a stage, and the whole day in order."""
