"""Inbound mail: one folder per provider."""
