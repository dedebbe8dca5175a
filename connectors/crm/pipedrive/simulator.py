"""A small HTTP server that behaves like Pipedrive: its API, its consent, its webhooks and its limits, faults included.

The demo, the integration tests and the benchmarks use it through the entry point `threadlink.crm_simulators`. Its
answers and the adapter's requests are held to Pipedrive's OpenAPI by a test.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.model import ItemKind
from app.ports import Clock
from connectors.crm.pipedrive import simulator_v1, simulator_v2
from connectors.crm.pipedrive.simulator_answers import CLOUDFLARE_PAGE, Asked, RefusedError, refusal
from connectors.crm.pipedrive.simulator_faults import AT_ONCE, FAULTS
from connectors.crm.pipedrive.simulator_html import text_of
from connectors.crm.pipedrive.simulator_limits import Meter
from connectors.crm.pipedrive.simulator_mail import put_thread, take_in
from connectors.crm.pipedrive.simulator_oauth import CLIENT_ID, CLIENT_SECRET, Grants, back_to
from connectors.crm.pipedrive.simulator_records import Change, Company
from connectors.crm.pipedrive.simulator_v2 import Route
from connectors.crm.pipedrive.simulator_webhooks import Webhooks
from connectors.simulated_faults import Faults
from connectors.simulated_http import Call, Reply, SimulatorServer

HOME = "northwind"
Observer = Callable[[Call, Reply], None]


class SimulatedCompany:
    """One company at the simulated Pipedrive: ports.CrmRecords, and what a connection to it holds."""

    def __init__(self, simulator: PipedriveSimulator, company: Company, meter: Meter) -> None:
        self.records = company
        self.meter = meter
        self.company = str(company.id)
        self._simulator = simulator
        self._lock = simulator.lock

    @property
    def secrets(self) -> Mapping[str, Any]:
        """What a connection holds after a consent."""
        return self._simulator.secrets_of(self.records)

    def api_token(self) -> str:
        """Return the API token of the company's administrator."""
        with self._lock:
            return self._simulator.grants.api_token(self.records)

    def usage(self) -> Mapping[str, int]:
        """Return what the company was asked for so far."""
        with self._lock:
            return {"requests": 0, "tokens": 0, "reads": 0, "writes": 0, **self.meter.usage}

    def crm_id(self, kind: str, external_id: str) -> str:
        """Return the company's own id of a record that was put under the caller's."""
        with self._lock:
            return str(self.records.crm_id(kind, external_id))

    def callers_id(self, kind: str, crm_id: str) -> str:
        """Return the caller's id of a record, or its own."""
        with self._lock:
            return self.records.callers_id(kind, crm_id)

    # --- ports.CrmRecords ---

    def put_organization(self, external_id: str, name: str) -> None:
        """Create the organization or overwrite it."""
        with self._lock:
            self.records.put("organization", external_id, name)

    def put_person(
        self, external_id: str, name: str, addresses: Sequence[str], organization: str | None = None
    ) -> None:
        """Create the person or overwrite it."""
        with self._lock:
            of = None if organization is None else int(self.records.crm_id("organization", organization))
            self.records.put("person", external_id, name, emails=tuple(addresses), organization=of)

    def put_item(
        self,
        kind: ItemKind,
        external_id: str,
        title: str,
        *,
        state: str = "open",
        created_at: datetime | None = None,
        person: str | None = None,
        participants: Sequence[str] = (),
        organization: str | None = None,
    ) -> None:
        """Create the item or overwrite it."""
        with self._lock:
            self.records.put(
                kind,
                external_id,
                title,
                state=state,
                add_time=created_at,
                person=None if person is None else int(self.records.crm_id("person", person)),
                participants=self.records.ids_of("person", participants),
                organization=None if organization is None else int(self.records.crm_id("organization", organization)),
            )

    def change(self, kind: str, external_id: str, changes: Mapping[str, Any]) -> None:
        """Set fields of an existing record."""
        with self._lock:
            self.records.change(kind, external_id, changes)

    def delete(self, kind: str, external_id: str) -> None:
        """Delete a record."""
        with self._lock:
            record = self.records.the(kind, external_id)
            if not record.is_deleted:
                self.records.delete_record(record, by_api=False)

    def restore(self, kind: str, external_id: str) -> None:
        """Bring a deleted record back."""
        with self._lock:
            record = self.records.the(kind, external_id)
            self.records.update(record, by_api=False, is_deleted=False)

    def convert_lead(self, lead: str, deal: str) -> None:
        """Make a deal from a lead."""
        with self._lock:
            deal_id = self.records.crm_id("deal", deal)
            self.records.convert(self.records.the("lead", lead), deal_id, by_api=False)

    def merge_persons(self, gone: str, into: str) -> None:
        """Merge two persons."""
        with self._lock:
            self.records.merge(self.records.the("person", gone), self.records.the("person", into), by_api=False)

    def notes(self, kind: str, external_id: str) -> list[str]:
        """Return the text of every note and every activity on the record, oldest first."""
        with self._lock:
            crm_id = self.records.the(kind, external_id).id
            shown = [text_of(note.content) for note in self.records.notes_on(kind, crm_id)]
            for activity in self.records.activities_on(kind, crm_id):
                written = activity.fields.get("note") or activity.fields.get("public_description") or ""
                shown.append(f"{activity.title}\n{text_of(str(written))}")
            return shown

    def put_thread(self, subject: str, message_ids: Sequence[str], addresses: Sequence[str], *, at: datetime) -> int:
        """Let Pipedrive's own sync bring a mail thread; return its id."""
        with self._lock:
            return put_thread(self.records, subject, message_ids, addresses, at=at)

    def receive_mail(self, address: str, raw: bytes) -> int | None:
        """Take a mail to an item's Smart Bcc address; return the thread it became, None when it is not taken."""
        with self._lock:
            return take_in(self.records, address, raw)


class PipedriveSimulator(SimulatedCompany):
    """Pipedrive for one process: itself the company `northwind`, and others that add_company() opens.

    `observers` are told every call of the API and its answer, before a fault loses it.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.observers: list[Observer] = []
        self.grants = Grants()
        self._faults = Faults("company")
        self._companies: dict[str, SimulatedCompany] = {}

    def start(self, clock: Clock) -> Mapping[str, str]:
        """Start serving; return the settings that point the adapter here."""
        self._clock = clock
        self.webhooks = Webhooks(clock, self._faults, self.lock)
        super().__init__(self, *self._new_company(HOME))
        self._companies[HOME] = self
        self._routes = [
            *((f"/v2{route.path}", route) for route in simulator_v2.ROUTES),
            *((f"/v1{route.path}", route) for route in (*simulator_v1.ROUTES, *self._webhook_routes())),
        ]
        self._patterns = [
            (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), route) for path, route in self._routes
        ]
        self._server = SimulatorServer(self._answer)
        self._server.start()
        url = self._server.url
        return {
            "PIPEDRIVE_CLIENT_ID": CLIENT_ID,
            "PIPEDRIVE_CLIENT_SECRET": CLIENT_SECRET,
            "PIPEDRIVE_API_URL": url,
            "PIPEDRIVE_AUTHORIZE_URL": f"{url}/oauth/authorize",
            "PIPEDRIVE_TOKEN_URL": f"{url}/oauth/token",
            "PIPEDRIVE_REVOKE_URL": f"{url}/oauth/revoke",
            "PIPEDRIVE_REQUESTS_PER_2S": "80",
            "PIPEDRIVE_CATCH_UP_S": "0",
        }

    def stop(self) -> None:
        """Stop serving and calling back."""
        self.webhooks.stop()
        self._server.stop()

    def add_company(self, domain: str) -> SimulatedCompany:
        """Open another company."""
        with self.lock:
            self._companies[domain] = SimulatedCompany(self, *self._new_company(domain))
            return self._companies[domain]

    def push_to(self, url: str) -> None:
        """Reach the addresses webhooks were registered with at this origin from now on."""
        self.webhooks.origin = url

    def settle(self) -> None:
        """Return when every webhook so far was answered or given up; a late one once it is due."""
        self.webhooks.settle()

    def consent(self, authorization_url: str, domain: str = HOME) -> str:
        """Act as the administrator's browser; return the URL it is sent back to."""
        if self._faults.take("consent_refused", domain):
            return back_to(authorization_url, None)
        with self.lock:
            redirect_uri = back_to(authorization_url, "").partition("?")[0]
            return back_to(authorization_url, self.grants.code(self._companies[domain].records, redirect_uri))

    def secrets_of(self, company: Company) -> Mapping[str, Any]:
        """Return what a connection holds after a consent."""
        with self.lock:
            return self.grants.secrets_of(company, self._clock.now(), self._server.url)

    # --- faults ---

    @property
    def fault_kinds(self) -> frozenset[str]:
        """The names of all faults; simulator_faults.FAULTS says what each does."""
        return frozenset(FAULTS)

    def fault(self, kind: str, **params: Any) -> None:
        """Arm a fault: `count` moments (1; -1: always; 0: disarm), `company` (all), and its own parameters."""
        if kind not in FAULTS:
            raise ValueError(f"Pipedrive has no fault {kind!r}; there are: {', '.join(sorted(FAULTS))}")
        if kind not in AT_ONCE:
            self._faults.arm(kind, **params)
            return
        with self.lock:
            named = params.get("company")
            for company in [self._companies[named]] if named else list(self._companies.values()):
                self._strike(kind, company, is_disarmed=params.get("count") == 0)

    def _strike(self, kind: str, company: SimulatedCompany, *, is_disarmed: bool) -> None:
        if kind == "budget_gone":
            company.meter.use_up(self._clock.now(), gone=not is_disarmed)
        elif kind == "access_expired":
            self.grants.expire_access()
        elif kind == "grant_revoked":
            self.grants.revoke_all(company.records)
        elif kind == "webhooks_removed":
            self.webhooks.remove_all()
        else:
            for note in company.records.standing("note"):
                company.records.delete_record(note, by_api=False)

    # --- HTTP ---

    def _answer(self, call: Call) -> Reply:
        if call.path.startswith("/oauth/"):
            return self._oauth(call)
        path = call.path.removeprefix("/api")
        known = [
            (route, found.groupdict())
            for pattern, route in self._patterns
            if route.method == call.method and (found := pattern.fullmatch(path))
        ]
        with self.lock:
            given = self.grants.of(call, self._clock.now())
        if given is None or self._faults.take("unauthorized_once"):
            return refusal(401, "unauthorized access", "Please check developers.pipedrive.com")
        if not known:
            return refusal(404, "Unknown method .")
        token, grant = given
        route, path_ids = min(known, key=lambda pair: len(pair[1]))  # /deals/archived before /deals/{id}
        asked = Asked(call, grant.company, grant.user, path_ids)
        moment = {"operation": route.operation, "does": "read" if route.method == "GET" else "write"}
        if (refused := self._fault_before(asked, moment)) is not None:
            return refused
        with self.lock:
            meter = self._companies[grant.company.domain].meter
            refused = meter.refuse(route, token, self._clock.now(), by_consent=grant.by_consent)
            if refused is not None:
                meter.usage["refused"] += 1
                return refused
            reply = _carried_out(route, asked)
            meter.count(route, self._clock.now())
            reply = replace(reply, headers={**reply.headers, **meter.headers(token, by_consent=grant.by_consent)})
        for observer in self.observers:
            observer(call, reply)
        return self._fault_after(asked, moment, reply)

    def _fault_before(self, asked: Asked, moment: Mapping[str, str]) -> Reply | None:
        def take(kind: str) -> Any:
            return self._faults.take(kind, asked.company.domain, **moment)

        if take("connection_dropped"):
            return Reply(500, drop=True)
        if take("rate_limited"):
            return refusal(
                429, "Request over limit", x_ratelimit_limit="80", x_ratelimit_remaining="0", x_ratelimit_reset="2"
            )
        if take("cloudflare_page"):
            return Reply(403, CLOUDFLARE_PAGE, "text/html; charset=UTF-8")
        if fault := take("server_error"):
            return refusal(fault.params.get("status", 503), "Internal server error")
        if fault := take("html_error"):
            return Reply(fault.params.get("status", 502), b"<html><h1>Bad Gateway</h1></html>", "text/html")
        refusals = (
            ("scope_missing", 403, "Scope and URL mismatch"),
            ("company_inactive", 402, "Company account is not open (possible reason: trial expired)"),
            ("endpoint_removed", 410, "This endpoint is no longer available"),
        )
        return next((refusal(status, error) for kind, status, error in refusals if take(kind)), None)

    def _fault_after(self, asked: Asked, moment: Mapping[str, str], reply: Reply) -> Reply:
        def take(kind: str) -> Any:
            return self._faults.take(kind, asked.company.domain, **moment)

        if take("lost_answer"):
            return replace(reply, drop=True)
        if take("truncated_json"):
            return replace(reply, body=reply.body[: len(reply.body) // 2])
        if fault := take("slow"):
            return replace(reply, delay_s=fault.params.get("seconds", 1.0))
        return reply

    def _oauth(self, call: Call) -> Reply:
        if self._faults.take("server_error", operation="get-tokens", does="write"):
            return refusal(503, "Internal server error")
        with self.lock:
            if call.path == "/oauth/authorize" and call.method == "GET":
                query = "&".join(f"{name}={values[0]}" for name, values in call.query.items())
                return Reply(302, headers={"Location": self.consent(f"{call.path}?{query}")})
            if call.path == "/oauth/revoke" and call.method == "POST":
                return self.grants.revoke(call)
            if call.path not in ("/oauth/token", "/oauth/token/") or call.method != "POST":
                return refusal(404, "Not found")
            self.meter.usage["get-tokens"] += 1
            if self._faults.take("invalid_client"):
                return refusal(401, "invalid_client")
            return self.grants.token(call, self._clock.now(), self._server.url)

    def _webhook_routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/webhooks", "getWebhooks", 10, self.webhooks.listed),
            Route("POST", "/webhooks", "addWebhook", 10, self.webhooks.add),
            Route("DELETE", "/webhooks/{id}", "deleteWebhook", 6, self.webhooks.remove),
        )

    def _new_company(self, domain: str) -> tuple[Company, Meter]:
        company = Company(len(self._companies) + 1000, domain, self._clock)

        def told(change: Change) -> None:
            self.webhooks.tell(company, change)

        company.on_change = told
        return company, Meter()


def _carried_out(route: Route, asked: Asked) -> Reply:
    try:
        return route.answer(asked)
    except RefusedError as error:
        return refusal(error.status, str(error), error.info)
    except (KeyError, TypeError, ValueError) as error:
        return refusal(400, "The request is not valid", type(error).__name__)
