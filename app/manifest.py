"""What vendors install to show threadlink in their own products, made for one installation from what is in manifest/.

Pure: an address in, documents out. Both manifests of the Outlook add-in come from manifest/outlook/addin.json.
"""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, StrictUndefined

from app.errors import SettingsError

SOURCES = Path(str(files("manifest")))
ICONS = SOURCES / "icons"

UNIFIED_VERSION = "1.30"
_UNIFIED_SCHEMA = (
    f"https://developer.microsoft.com/en-us/json-schemas/teams/v{UNIFIED_VERSION}/MicrosoftTeams.schema.json"
)
_STORE_ICONS = (64, 128)


@dataclass(frozen=True, slots=True)
class Site:
    """Where an installation is reached: its public address, and the address its Outlook pane is served from.

    `microsoft_client_id` is the application in Microsoft Entra that the pane signs people in with; "" leaves out what
    speeds that up. `multi_select` shows the pane for several selected messages too, for which Outlook asks more: the
    permission to read and write the whole mailbox, and Mailbox 1.13.
    """

    base_url: str
    pane_base_url: str = ""
    microsoft_client_id: str = ""
    multi_select: bool = False

    @property
    def pane_url(self) -> str:
        """The page of the Outlook pane."""
        return f"{self.pane_base_url or self.base_url}/outlook/pane"

    @property
    def hosts(self) -> list[str]:
        """The host names, without a scheme."""
        return sorted({urlsplit(url).netloc for url in (self.base_url, self.pane_base_url) if url})


def site(base_url: str, pane_base_url: str = "", microsoft_client_id: str = "", *, multi_select: bool = False) -> Site:
    """Return a site whose addresses vendors take. Raises SettingsError for one that is not https, or has a path."""
    return Site(
        _origin(base_url, "--base-url"),
        _origin(pane_base_url, "--pane-base-url") if pane_base_url else "",
        _uuid(microsoft_client_id) if microsoft_client_id else "",
        multi_select,
    )


# --- Gmail ---


def gmail(base_url: str) -> dict[str, Any]:
    """Return the deployment of the Gmail add-on, as the Google Workspace Marketplace SDK takes it."""
    source = (SOURCES / "gmail" / "deployment.json").read_text("utf-8")
    deployment: dict[str, Any] = json.loads(source.replace("{base_url}", base_url))
    return deployment


# --- Outlook ---


def outlook_files(place: Site) -> dict[str, bytes]:
    """Return file name to content: the add-in-only manifest, and the package of the unified one."""
    return {"manifest.xml": add_in_only(place).encode(), "threadlink.zip": _package(place)}


def add_in_only(place: Site) -> str:
    """Return the add-in-only manifest (XML): for every Outlook, Mac and mobile among them."""
    source = (SOURCES / "outlook" / "manifest.xml").read_text("utf-8")
    addin = _addin()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    rendered = environment.from_string(source).render(
        {
            **addin,
            "mailbox_requirement": _mailbox_requirement(place, addin),
            "multi_select": place.multi_select,
            "en": addin["texts"]["en"],
            "tr": addin["texts"]["tr"],
            "mobile_bitmaps": [size * scale for size in addin["mobile_icons"] for scale in addin["mobile_scales"]],
            "id": _id_of(place, "add-in-only"),
            "version": f"{_version()}.0",
            "base_url": place.base_url,
            "icons": f"{place.base_url}/icons",
            "pane": place.pane_url,
            "domains": [f"https://{host}" for host in place.hosts],
        }
    )
    return re.sub(r"\n\s*\n+", "\n", rendered).strip() + "\n"


def unified(place: Site) -> dict[str, Any]:
    """Return the unified manifest (JSON): Outlook on the web, the new Outlook and the classic one since 2307."""
    addin = _addin()
    texts = addin["texts"]["en"]
    permission = "Mailbox.ReadWrite.User" if place.multi_select else "MailboxItem.Read.User"
    manifest: dict[str, Any] = {
        "$schema": _UNIFIED_SCHEMA,
        "manifestVersion": UNIFIED_VERSION,
        "version": _version(),
        "id": _id_of(place, "unified"),
        "developer": {
            "name": texts["name"],
            "websiteUrl": f"{place.base_url}/",
            "privacyUrl": f"{place.base_url}/",
            "termsOfUseUrl": f"{place.base_url}/",
        },
        "name": {"short": texts["name"], "full": texts["name"]},
        "description": {"short": texts["summary"], "full": texts["description"]},
        "icons": {"outline": "outline-32.png", "color": "threadlink-192.png"},
        "accentColor": addin["accent_color"],
        "localizationInfo": {
            "defaultLanguageTag": "en-us",
            "additionalLanguages": [{"languageTag": "tr-tr", "file": "tr-tr.json"}],
        },
        "validDomains": place.hosts,
        "authorization": {"permissions": {"resourceSpecific": [{"name": permission, "type": "Delegated"}]}},
        "extensions": [_extension(place, addin)],
    }
    if place.microsoft_client_id:
        client_id = place.microsoft_client_id
        pane_origin = place.pane_base_url or place.base_url
        manifest["webApplicationInfo"] = {
            "id": client_id,
            "resource": f"api://{client_id}",
            "nestedAppAuthInfo": [
                {
                    "redirectUri": f"brk-multihub://{urlsplit(pane_origin).netloc}",
                    "scopes": [f"api://{client_id}/access_as_user"],
                }
            ],
        }
    return manifest


def unified_texts() -> dict[str, str]:
    """Return the Turkish words of the unified manifest, by the place they stand at."""
    texts = _addin()["texts"]["tr"]
    ribbon = "extensions[0].ribbons[0].tabs[0].groups[0]"
    return {
        "$schema": _UNIFIED_SCHEMA.replace("MicrosoftTeams.schema", "MicrosoftTeams.Localization.schema"),
        "name.short": texts["name"],
        "name.full": texts["name"],
        "description.short": texts["summary"],
        "description.full": texts["description"],
        f"{ribbon}.label": texts["group"],
        f"{ribbon}.controls[0].label": texts["button"],
        f"{ribbon}.controls[0].supertip.title": texts["tip_title"],
        f"{ribbon}.controls[0].supertip.description": texts["tip"],
    }


def _extension(place: Site, addin: Mapping[str, Any]) -> dict[str, Any]:
    texts = addin["texts"]["en"]
    icons = [{"size": size, "url": f"{place.base_url}/icons/threadlink-{size}.png"} for size in addin["ribbon_icons"]]
    # The schema knows no size above 80: of the larger icon too it wants to be told 64.
    small, large = ({"size": 64, "url": f"{place.base_url}/icons/threadlink-{size}.png"} for size in _STORE_ICONS)
    control = {
        "id": "readButton",
        "type": "button",
        "label": texts["button"],
        "icons": icons,
        "supertip": {"title": texts["tip_title"], "description": texts["tip"]},
        "actionId": "showPane",
    }
    group = {"id": "readGroup", "label": texts["group"], "icons": icons, "controls": [control]}
    show: dict[str, Any] = {"id": "showPane", "type": "openPage", "view": "pane", "pinnable": True}
    if place.multi_select:
        show["multiselect"] = True
    return {
        "requirements": {
            "scopes": ["mail"],
            "capabilities": [{"name": "Mailbox", "minVersion": _mailbox_requirement(place, addin)}],
        },
        "runtimes": [
            {
                "id": "pane",
                "type": "general",
                "lifetime": "short",
                "code": {"page": place.pane_url},
                "actions": [show],
            }
        ],
        "ribbons": [{"contexts": ["mailRead"], "tabs": [{"builtInTabId": "TabDefault", "groups": [group]}]}],
        "alternates": [
            {
                # Where this one works, the other is not shown as well.
                "hide": {"customOfficeAddin": {"officeAddinId": _id_of(place, "add-in-only")}},
                "alternateIcons": {"icon": small, "highResolutionIcon": large},
            }
        ],
    }


def _mailbox_requirement(place: Site, addin: Mapping[str, Any]) -> str:
    """Return what Outlook must know: learn.microsoft.com/office/dev/add-ins/outlook/item-multi-select."""
    return "1.13" if place.multi_select else str(addin["mailbox_requirement"])


def _package(place: Site) -> bytes:
    """Zip the unified manifest with its icons and its Turkish words, as Microsoft 365 takes it: always the same way."""
    contents = {
        "manifest.json": _json(unified(place)),
        "tr-tr.json": _json(unified_texts()),
        "outline-32.png": (ICONS / "outline-32.png").read_bytes(),
        "threadlink-192.png": (ICONS / "threadlink-192.png").read_bytes(),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in contents.items():
            package.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content)
    return packed.getvalue()


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def _addin() -> dict[str, Any]:
    addin: dict[str, Any] = json.loads((SOURCES / "outlook" / "addin.json").read_text("utf-8"))
    return addin


def _id_of(place: Site, manifest: str) -> str:
    """Return the id under which an add-in is installed: another one for each installation, the same for its updates."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{place.base_url}/outlook/{manifest}"))


def _version() -> str:
    """Return our version in three numbers, as both vendors want it."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version("threadlink"))
    return found[0] if found else "0.0.0"


def _origin(url: str, option: str) -> str:
    parts = urlsplit(url)
    is_plain = re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", parts.netloc) is not None
    if parts.scheme != "https" or not is_plain or parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError(
            f"{option} must be an https address without a path, such as https://threadlink.example.com."
        )
    return f"https://{parts.netloc}"


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise SettingsError("--microsoft-client-id must be the id of an application in Microsoft Entra.") from None
