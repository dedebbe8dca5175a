"""`python -m app.cli`: what `serve` starts its processes with."""

from app.cli import main

main()
