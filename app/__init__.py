"""threadlink: e-mail conversations linked to CRM items, with the reason for each.

Nothing is imported here: the core must be usable without Flask.
"""
