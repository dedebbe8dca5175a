"""Every call to Pipedrive's API that threadlink makes, with its price in API tokens (`x-token-cost` of its OpenAPI)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. `path` holds {id} where a record's id goes; `version` says which API it belongs to."""

    name: str
    method: str
    version: int
    path: str
    tokens: int

    @property
    def is_search(self) -> bool:
        """Whether Pipedrive counts it against its limit of searches."""
        return self.path.endswith(("/search", "/itemSearch"))


ME = Operation("users_me", "GET", 1, "/users/me", 2)
USERS = Operation("users", "GET", 1, "/users", 20)
ROLE_SETTINGS = Operation("role_settings", "GET", 1, "/users/{id}/roleSettings", 10)

SEARCH_PERSONS = Operation("search_persons", "GET", 2, "/persons/search", 20)
SEARCH_ITEMS = Operation("search_items", "GET", 2, "/itemSearch", 20)

PERSON = Operation("person", "GET", 2, "/persons/{id}", 1)
PERSONS = Operation("persons", "GET", 2, "/persons", 10)
ADD_PERSON = Operation("add_person", "POST", 2, "/persons", 5)
ORGANIZATION = Operation("organization", "GET", 2, "/organizations/{id}", 1)
ORGANIZATIONS = Operation("organizations", "GET", 2, "/organizations", 10)
DEAL = Operation("deal", "GET", 2, "/deals/{id}", 1)
DEALS = Operation("deals", "GET", 2, "/deals", 10)
ARCHIVED_DEALS = Operation("archived_deals", "GET", 2, "/deals/archived", 20)
ADD_DEAL = Operation("add_deal", "POST", 2, "/deals", 5)
DEAL_PARTICIPANTS = Operation("deal_participants", "GET", 1, "/deals/{id}/participants", 10)
LEAD = Operation("lead", "GET", 1, "/leads/{id}", 2)
LEADS = Operation("leads", "GET", 1, "/leads", 20)
ARCHIVED_LEADS = Operation("archived_leads", "GET", 1, "/leads/archived", 40)
ADD_LEAD = Operation("add_lead", "POST", 1, "/leads", 10)
PROJECT = Operation("project", "GET", 2, "/projects/{id}", 1)
PROJECTS = Operation("projects", "GET", 2, "/projects", 10)
ARCHIVED_PROJECTS = Operation("archived_projects", "GET", 2, "/projects/archived", 10)
ADD_PROJECT = Operation("add_project", "POST", 2, "/projects", 5)
RECENTS = Operation("recents", "GET", 1, "/recents", 20)

NOTES = Operation("notes", "GET", 1, "/notes", 20)
ADD_NOTE = Operation("add_note", "POST", 1, "/notes", 10)
UPDATE_NOTE = Operation("update_note", "PUT", 1, "/notes/{id}", 10)
DELETE_NOTE = Operation("delete_note", "DELETE", 1, "/notes/{id}", 6)
ACTIVITIES = Operation("activities", "GET", 2, "/activities", 10)
PROJECT_ACTIVITIES = Operation("project_activities", "GET", 1, "/projects/{id}/activities", 20)
ADD_ACTIVITY = Operation("add_activity", "POST", 2, "/activities", 5)
UPDATE_ACTIVITY = Operation("update_activity", "PATCH", 2, "/activities/{id}", 5)
DELETE_ACTIVITY = Operation("delete_activity", "DELETE", 2, "/activities/{id}", 3)
MAIL_OF_DEAL = Operation("mail_of_deal", "GET", 1, "/deals/{id}/mailMessages", 20)
MAIL_OF_PERSON = Operation("mail_of_person", "GET", 1, "/persons/{id}/mailMessages", 20)
MAIL_OF_DEAL = Operation("mail_of_deal", "GET", 1, "/deals/{id}/mailMessages", 20)
THREAD = Operation("thread", "GET", 1, "/mailbox/mailThreads/{id}", 20)
UPDATE_THREAD = Operation("update_thread", "PUT", 1, "/mailbox/mailThreads/{id}", 10)

WEBHOOKS = Operation("webhooks", "GET", 1, "/webhooks", 10)
ADD_WEBHOOK = Operation("add_webhook", "POST", 1, "/webhooks", 10)
DELETE_WEBHOOK = Operation("delete_webhook", "DELETE", 1, "/webhooks/{id}", 6)

# What somebody waits for who clicked: these may spend the tokens kept in reserve.
FOR_PEOPLE = frozenset({SEARCH_ITEMS, ADD_PERSON, ADD_DEAL, ADD_LEAD, ADD_PROJECT, DEAL, LEAD, PROJECT, ME})
