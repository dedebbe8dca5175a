"""A real Tryton for tests: installed once in a virtual environment of its own, its database copied for each run."""
