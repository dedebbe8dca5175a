"""Pipedrive: people, deals, leads and projects by its API v2 (v1 where v2 has none), conversations as notes on them."""
