"""What every mail connector does, as tests: subclass MailConnectorSuite in your package and give it three things.

    class TestMine(MailConnectorSuite):
        faults = {"cursor_expired": ("...", {}), "throttled": ("...", {}), ...}

        @pytest.fixture
        def simulator(self): return MySimulator()        # not started

        @pytest.fixture
        def create(self): return my_package.create

The suite speaks of capabilities, never of vendors. A capability that is missing must carry its sentence.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.errors import (
    AccessRevoked,
    CursorExpired,
    Gone,
    PermanentError,
    ProviderError,
    RateLimited,
    TransientError,
    Unsupported,
)
from app.model import NOT_CHOSEN
from app.ports import (
    FailedMessage,
    Fetched,
    FilteredMessage,
    GoneMessage,
    Mailbox,
    MailConnector,
    SimulatedMail,
)
from app.testing.fakes import PushListener, SteppedClock
from app.testing.mail_stage import ADDRESS, ALIAS, REDIRECT_URI, MailStage, mail


class MailConnectorSuite(MailStage):
    """The tests; MailStage says what a subclass gives."""

    # --- consent ---

    def test_consent_names_the_mailbox_and_a_user_that_is_no_address(
        self, connector: MailConnector, simulator: SimulatedMail
    ) -> None:
        authorization = connector.authorize(REDIRECT_URI, "the-state", None)
        back = dict(parse_qsl(urlsplit(simulator.consent(authorization.url, ADDRESS)).query))
        connected = connector.connect(REDIRECT_URI, back, authorization.kept)
        assert back["state"] == "the-state"
        assert connected.address == ADDRESS
        assert connected.provider_user_id
        assert "@" not in connected.provider_user_id
        assert connected.secrets

    def test_a_code_serves_once(self, connector: MailConnector, simulator: SimulatedMail) -> None:
        authorization = connector.authorize(REDIRECT_URI, "the-state", None)
        back = dict(parse_qsl(urlsplit(simulator.consent(authorization.url, ADDRESS)).query))
        connector.connect(REDIRECT_URI, back, authorization.kept)
        with pytest.raises(PermanentError):
            connector.connect(REDIRECT_URI, back, authorization.kept)

    def test_a_code_needs_what_was_kept(self, connector: MailConnector, simulator: SimulatedMail) -> None:
        victim = connector.authorize(REDIRECT_URI, "the-state", None)
        attacker = connector.authorize(REDIRECT_URI, "the-state", None)
        back = dict(parse_qsl(urlsplit(simulator.consent(victim.url, ADDRESS)).query))
        with pytest.raises(PermanentError):
            connector.connect(REDIRECT_URI, back, attacker.kept)

    def test_own_addresses_are_the_main_one_and_the_aliases(self, connector: MailConnector, mailbox: Mailbox) -> None:
        assert connector.own_addresses(mailbox) == {ADDRESS, ALIAS}

    def test_the_last_account_ends_the_access(self, connector: MailConnector, mailbox: Mailbox) -> None:
        connector.disconnect(mailbox, last=True)
        assert mailbox.credentials.read() == {}
        with pytest.raises(AccessRevoked):
            self.read(connector, mailbox, None)

    def test_an_account_that_is_not_the_last_leaves_the_others_alone(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox
    ) -> None:
        other = self.connect(connector, simulator)
        connector.disconnect(mailbox, last=False)
        assert mailbox.credentials.read() == {}
        _, cursor = self.read(connector, other, None)
        assert cursor

    def test_disconnecting_twice_is_harmless(self, connector: MailConnector, mailbox: Mailbox) -> None:
        connector.disconnect(mailbox, last=True)
        connector.disconnect(mailbox, last=True)
        assert mailbox.credentials.read() == {}

    def test_a_withdrawn_consent_is_named(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox
    ) -> None:
        self.strike(simulator, "revoked")
        with pytest.raises(AccessRevoked):
            self.read(connector, mailbox, None)

    # --- pushes ---

    def test_every_missing_capability_has_a_sentence(self, connector: MailConnector) -> None:
        capabilities = connector.capabilities
        assert capabilities.batch_size > 0
        assert capabilities.subscriptions or "subscriptions" in capabilities.missing
        assert all(sentence.endswith(".") for sentence in capabilities.missing.values())

    @pytest.mark.usefixtures("listener")  # some providers ask the address before they accept it
    def test_a_subscription_outlasts_its_renewal_and_may_be_made_again(
        self, connector: MailConnector, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        first = connector.subscribe(mailbox)
        clock.step(hours=1)
        second = connector.subscribe(mailbox)
        renewal = timedelta(seconds=connector.capabilities.subscription_renew_before_s)
        assert first.expires_at - renewal > clock.now()
        assert second.expires_at >= first.expires_at

    def test_a_push_names_the_mailbox(
        self,
        connector: MailConnector,
        simulator: SimulatedMail,
        mailbox: Mailbox,
        listener: PushListener,
        clock: SteppedClock,
    ) -> None:
        connector.subscribe(mailbox)
        simulator.settle()
        listener.notifications.clear()
        self.deliver(simulator, clock, 1)
        simulator.settle()
        assert {(n.provider, n.mailbox) for n in listener.notifications} == {
            (connector.provider, mailbox.account.mailbox)
        }

    def test_a_forged_push_names_nothing(
        self,
        connector: MailConnector,
        simulator: SimulatedMail,
        mailbox: Mailbox,
        listener: PushListener,
        clock: SteppedClock,
    ) -> None:
        connector.subscribe(mailbox)
        simulator.settle()
        listener.notifications.clear()
        listener.requests.clear()
        self.strike(simulator, "forged_push")
        self.deliver(simulator, clock, 1)
        simulator.settle()
        assert listener.requests
        assert listener.notifications == []

    # --- changes ---

    def test_without_a_past_only_new_mail_is_read(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        self.deliver(simulator, clock, 1)
        changes, cursor = self.read(connector, mailbox, None)
        assert changes == {}
        new = self.deliver(simulator, clock, 2)
        changes, _ = self.read(connector, mailbox, cursor)
        assert set(changes) == {new}

    def test_with_a_past_the_mail_since_then_is_read(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        self.deliver(simulator, clock, 1)
        clock.step(days=10)
        recent = self.deliver(simulator, clock, 2)
        since = replace(mailbox, history_from=clock.now() - timedelta(days=3))
        changes, cursor = self.read(connector, since, None)
        assert set(changes) == {recent}
        new = self.deliver(simulator, clock, 3)
        changes, _ = self.read(connector, since, cursor)
        assert set(changes) == {new}

    def test_a_cursor_without_changes_stays_good(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        _, cursor = self.read(connector, mailbox, None)
        for _ in range(3):
            changes, cursor = self.read(connector, mailbox, cursor)
            assert changes == {}
        new = self.deliver(simulator, clock, 1)
        changes, _ = self.read(connector, mailbox, cursor)
        assert set(changes) == {new}

    def test_every_cursor_of_a_long_first_read_can_be_gone_on_from(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        delivered = {self.deliver(simulator, clock, number) for number in range(self.several_pages)}
        since = replace(mailbox, history_from=clock.now() - timedelta(days=1))
        self.check_every_cursor(connector, since, None, delivered)

    def test_every_cursor_of_long_changes_can_be_gone_on_from(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        _, cursor = self.read(connector, mailbox, None)
        delivered = {self.deliver(simulator, clock, number) for number in range(self.several_pages)}
        self.check_every_cursor(connector, mailbox, cursor, delivered)

    def test_a_deletion_is_reported(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        doomed = self.deliver(simulator, clock, 1)
        _, cursor = self.read(connector, mailbox, None)
        simulator.delete(ADDRESS, doomed)
        changes, _ = self.read(connector, mailbox, cursor)
        assert changes[doomed].deleted

    def test_drafts_and_spam_are_never_read(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        _, cursor = self.read(connector, mailbox, None)
        left_out = {folder: self.deliver(simulator, clock, n, folder) for n, folder in enumerate(("draft", "spam"))}
        kept = self.deliver(simulator, clock, 9)
        changes, _ = self.read(connector, mailbox, cursor)
        wanted = [c.provider_id for c in changes.values() if c.filtered_by is None and not c.deleted]
        fetched = self.fetch(connector, mailbox, wanted)
        assert {key for key, outcome in fetched.items() if isinstance(outcome, Fetched)} == {kept}
        for folder, provider_id in left_out.items():
            change, outcome = changes.get(provider_id), fetched.get(provider_id)
            named = outcome.rule if isinstance(outcome, FilteredMessage) else change.filtered_by if change else folder
            assert named == folder

    def test_an_expired_cursor_is_named_and_recovery_finds_everything(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        _, cursor = self.read(connector, mailbox, None)
        last_good = clock.now()
        clock.step(minutes=5)
        missed = {self.deliver(simulator, clock, number) for number in range(3)}
        self.strike(simulator, "cursor_expired")
        with pytest.raises(CursorExpired):
            self.read(connector, mailbox, cursor)
        pages = list(connector.recover(mailbox, last_good - timedelta(days=1)))
        assert {change.provider_id for page in pages for change in page.changes} >= missed
        new = self.deliver(simulator, clock, 9)
        changes, _ = self.read(connector, mailbox, pages[-1].cursor)
        assert set(changes) == {new}

    def test_mail_that_arrives_during_a_recovery_is_found(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        self.deliver(simulator, clock, 1)
        pages = connector.recover(mailbox, clock.now() - timedelta(days=1))
        first = next(pages)
        late = self.deliver(simulator, clock, 2)
        rest = list(pages)
        found = {change.provider_id for page in (first, *rest) for change in page.changes}
        after, _ = self.read(connector, mailbox, (rest or [first])[-1].cursor)
        assert late in found | set(after)

    def test_a_window_lists_what_arrived_since(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        self.deliver(simulator, clock, 1)
        clock.step(days=5)
        recent = {self.deliver(simulator, clock, 2), self.deliver(simulator, clock, 3, "sent")}
        pages = list(connector.list_window(mailbox, clock.now() - timedelta(hours=48)))
        assert {change.provider_id for page in pages for change in page} == recent

    # --- chosen labels or folders ---

    def test_labels_or_folders_are_offered_or_refused(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        if not connector.capabilities.folders:
            with pytest.raises(Unsupported):
                connector.list_folders(mailbox)
            return
        self.deliver(simulator, clock, 1, "Customers")
        offered = connector.list_folders(mailbox)
        assert [each.well_known for each in offered].count("inbox") == 1
        assert [each.name for each in offered if not each.well_known].count("Customers") == 1
        assert len({each.id for each in offered}) == len(offered)

    @pytest.mark.parametrize("is_first_read", [True, False], ids=["earlier mail", "new mail"])
    def test_only_what_is_chosen_and_sent_mail_is_read(
        self,
        connector: MailConnector,
        simulator: SimulatedMail,
        mailbox: Mailbox,
        clock: SteppedClock,
        is_first_read: bool,
    ) -> None:
        self.deliver(simulator, clock, 1, "Customers")
        clock.step(days=1)
        mailbox = self.choosing(connector, replace(mailbox, history_from=clock.now()), "Customers")
        _, cursor = self.read(connector, mailbox, None)
        folders = ("Customers", "inbox", "Private", "sent", "spam")
        put = {folder: self.deliver(simulator, clock, number, folder) for number, folder in enumerate(folders, 2)}
        read, _ = self.read(connector, mailbox, None if is_first_read else cursor)
        windows = connector.list_window(mailbox, clock.now() - timedelta(hours=1))
        for changes in (read, self.merged(windows)):
            became = self.fate(connector, mailbox, changes)
            assert {folder for folder in folders if became.get(put[folder]) == "read"} == {"Customers", "sent"}
            # What is left out is reported all the same, so that it can be told.
            assert {became[put["inbox"]], became[put["Private"]]} == {NOT_CHOSEN}

    def test_what_comes_into_a_chosen_folder_later_is_read(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        early = self.deliver(simulator, clock, 1)
        self.deliver(simulator, clock, 2, "Customers")
        clock.step(days=1)
        mailbox = self.choosing(connector, replace(mailbox, history_from=clock.now() - timedelta(days=3)), "Customers")
        first, cursor = self.read(connector, mailbox, None)
        late = self.deliver(simulator, clock, 3)
        second, cursor = self.read(connector, mailbox, cursor)
        before = self.fate(connector, mailbox, first | second)
        assert (before[early], before[late]) == (NOT_CHOSEN, NOT_CHOSEN)
        for provider_id in (early, late):
            simulator.move(ADDRESS, provider_id, "Customers")
        moved, _ = self.read(connector, mailbox, cursor)
        after = self.fate(connector, mailbox, moved)
        assert (after[early], after[late]) == ("read", "read")

    # --- reading ---

    def test_a_fetched_message_is_what_was_delivered(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox
    ) -> None:
        at = datetime.fromisoformat("2026-03-01T10:11:12+00:00")
        provider_id = simulator.deliver(ADDRESS, mail(7), at=at)
        outcome = self.fetch(connector, mailbox, [provider_id])[provider_id]
        assert isinstance(outcome, Fetched)
        headers = {name.lower(): value for name, value in outcome.message.headers}
        assert outcome.message.at == at  # the provider's time, not the Date header
        assert outcome.message.folder == "inbox"
        assert headers["subject"] == "Prices 7"
        assert headers["message-id"] == "<m7@acme.test>"
        assert "iğne" in outcome.message.text

    def test_sent_mail_says_so(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        provider_id = self.deliver(simulator, clock, 1, "sent")
        outcome = self.fetch(connector, mailbox, [provider_id])[provider_id]
        assert isinstance(outcome, Fetched)
        assert outcome.message.folder == "sent"

    def test_a_deleted_message_is_gone_and_holds_up_nobody(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        gone, kept = self.deliver(simulator, clock, 1), self.deliver(simulator, clock, 2)
        simulator.delete(ADDRESS, gone)
        outcomes = self.fetch(connector, mailbox, [gone, kept])
        assert isinstance(outcomes[gone], GoneMessage)
        assert isinstance(outcomes[kept], Fetched)

    def test_a_message_that_fails_holds_up_nobody(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        wanted = [self.deliver(simulator, clock, number) for number in range(3)]
        self.strike(simulator, "part_failed")
        outcomes = self.fetch(connector, mailbox, wanted)
        assert set(outcomes) == set(wanted)
        assert sum(isinstance(outcome, Fetched) for outcome in outcomes.values()) >= 2
        assert all(isinstance(outcome, Fetched | FailedMessage) for outcome in outcomes.values())

    # --- a mail where it lies ---

    def test_an_original_is_the_mail_as_it_arrived_until_it_is_thrown_away(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        originals = self.originals(connector)
        kept = self.deliver(simulator, clock, 1)
        assert originals.fetch_original(mailbox, kept) == mail(1)
        thrown_away = self.deliver(simulator, clock, 2, folder="trash")
        gone = self.deliver(simulator, clock, 3)
        simulator.delete(ADDRESS, gone)
        for provider_id in (thrown_away, gone):
            with pytest.raises(Gone):
                originals.fetch_original(mailbox, provider_id)

    def test_an_original_fails_as_everything_else_does(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        originals = self.originals(connector)
        provider_id = self.deliver(simulator, clock, 1)
        self.strike(simulator, "unavailable")
        with pytest.raises(TransientError):
            originals.fetch_original(mailbox, provider_id)
        self.strike(simulator, "revoked")
        with pytest.raises(AccessRevoked):
            originals.fetch_original(mailbox, provider_id)

    def test_a_mail_is_opened_at_its_provider(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        originals = self.originals(connector)
        urls = {originals.web_url(mailbox, self.deliver(simulator, clock, number)) for number in (1, 2)}
        assert len(urls) == 2
        assert all(url.startswith("https://") for url in urls)

    # --- trouble ---

    def test_throttling_says_how_long_to_wait(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox
    ) -> None:
        self.strike(simulator, "throttled")
        with pytest.raises(RateLimited) as raised:
            self.read(connector, mailbox, None)
        assert raised.value.retry_after_s is not None
        assert raised.value.retry_after_s > 0

    def test_nothing_is_lost_when_the_provider_is_away(
        self, connector: MailConnector, simulator: SimulatedMail, mailbox: Mailbox, clock: SteppedClock
    ) -> None:
        _, cursor = self.read(connector, mailbox, None)
        new = self.deliver(simulator, clock, 1)
        self.strike(simulator, "unavailable")
        with pytest.raises(ProviderError):
            self.read(connector, mailbox, cursor)
        clock.step(hours=1)
        changes, _ = self.read(connector, mailbox, cursor)
        assert set(changes) == {new}
