"""Alembic's revisions, shipped with the package; store.migrate runs them.

A revision expands first and contracts later: old and new processes run side by side during a deployment, so a column or
table is added (with a default) in one release and what it replaces goes in a later one, when nothing reads it any more.
A revision holds its own DDL and never imports store.schema, which moves on.
"""
