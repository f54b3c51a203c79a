"""Webhooks in, and the public pages that messages link to."""
