"""The command line: `threadlink …`. frame.py says how every command answers; the other modules hold the commands."""

from __future__ import annotations

from app.cli.api_keys import api_keys
from app.cli.crm import crm
from app.cli.frame import Group, run
from app.cli.installing import migrate, rotate_keys, serve, smtp, web, worker
from app.cli.linking import dismiss, explain, link, trust, undo, unlink
from app.cli.manifests import manifest
from app.cli.members import members
from app.cli.people import accounts, teams
from app.cli.playing import demo, threads
from app.cli.replaying import replay
from app.cli.reviewing import offers, review
from app.cli.signing import sign_in
from app.cli.watching import doctor

threadlink = Group(
    "threadlink",
    help="Link e-mail conversations to CRM items, say why, and never lose a mail.",
    commands=[
        demo,
        serve,
        web,
        worker,
        smtp,
        migrate,
        rotate_keys,
        teams,
        members,
        accounts,
        api_keys,
        crm,
        sign_in,
        explain,
        link,
        unlink,
        dismiss,
        undo,
        trust,
        review,
        offers,
        replay,
        manifest,
        doctor,
        threads,
    ],
)


def main() -> None:
    """Run the command line and exit with its status."""
    raise SystemExit(run(threadlink))
