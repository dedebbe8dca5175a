"""The manifests: what their vendors publish about them, and what no validator of theirs looks at."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from google.cloud.gsuiteaddons_v1.types import Deployment
from google.protobuf.json_format import ParseDict
from lxml import etree

from app.cli import threadlink
from app.cli.frame import run
from app.errors import SettingsError
from app.manifest import ICONS, Site, add_in_only, gmail, outlook_files, site, unified, unified_texts
from app.web import icons
from app.web.gmail_addon import TRIGGERS
from app.web.security import hardening
from connectors.mail.gmail.addon import OPEN_MESSAGE, WHO
from manifest.icons.draw import drawn

pytestmark = pytest.mark.addon

BASE = "https://example.test"
PLACE = Site(BASE)
APART = Site(BASE, "https://pane.example.test", "6f7d9c54-0000-4000-8000-000000000001")
OFFICE = "{http://schemas.microsoft.com/office/appforoffice/1.1}"
V10 = "{http://schemas.microsoft.com/office/mailappversionoverrides}"
V11 = "{http://schemas.microsoft.com/office/mailappversionoverrides/1.1}"
BT = "{http://schemas.microsoft.com/office/officeappbasictypes/1.0}"
# learn.microsoft.com/office/dev/add-ins/develop/manifest-element-ordering
ORDER = [
    "Id", "Version", "ProviderName", "DefaultLocale", "DisplayName", "Description", "IconUrl", "HighResolutionIconUrl",
    "SupportUrl", "AppDomains", "Hosts", "Requirements", "FormSettings", "Permissions", "Rule",
    "DisableEntityHighlighting", "VersionOverrides",
]  # fmt: skip


@pytest.fixture(scope="module")
def xml() -> Any:
    return etree.fromstring(add_in_only(PLACE).encode())


# --- Gmail ---


def test_the_deployment_is_what_google_reads() -> None:
    deployment = gmail(BASE)
    http = deployment["addOns"]["httpOptions"]
    # Required of every add-on since 2025, and not in the published protocol buffers yet.
    assert http.pop("granularOauthPermissionSupport") == "OPT_IN"
    assert http == {"authorizationHeader": "SYSTEM_ID_TOKEN"}
    ParseDict(deployment, Deployment.pb(Deployment()))
    assert {WHO, OPEN_MESSAGE} <= set(deployment["oauthScopes"])
    assert deployment["addOns"]["common"]["name"]
    addresses = [value for value in strings(deployment["addOns"]) if "://" in value]
    assert all(value.startswith(f"{BASE}/") for value in addresses)
    called = {value.removeprefix(f"{BASE}/gmail/") for value in addresses if "/gmail/" in value}
    assert called == set(TRIGGERS)


# --- Outlook, XML ---


def test_the_elements_of_the_xml_stand_in_the_order_outlook_demands(xml: Any) -> None:
    assert [etree.QName(child).localname for child in xml] == ORDER
    for overrides in (xml.find(f"{V10}VersionOverrides"), xml.find(f".//{V11}VersionOverrides")):
        names = [etree.QName(child).localname for child in overrides]
        assert names[:3] == ["Requirements", "Hosts", "Resources"]
    assert xml.find(f"{V10}VersionOverrides/{V11}VersionOverrides") is not None


def test_the_xml_says_who_it_is(xml: Any) -> None:
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", xml.findtext(f"{OFFICE}Id"))
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", xml.findtext(f"{OFFICE}Version"))
    assert len(xml.find(f"{OFFICE}DisplayName").get("DefaultValue")) <= 125
    assert len(xml.find(f"{OFFICE}Description").get("DefaultValue")) <= 250
    assert xml.findtext(f"{OFFICE}Permissions") == "ReadItem"
    assert xml.find(f".//{V11}SupportsPinning").text == "true"
    assert xml.find(f".//{V10}SupportsPinning") is None  # the older part does not know it


@pytest.mark.parametrize("version", [V10, V11])
def test_every_resource_is_defined_once_and_used(xml: Any, version: str) -> None:
    overrides = xml.find(f".//{version}VersionOverrides")
    own = [e for e in overrides.iter() if isinstance(e.tag, str) and inside(e, overrides, version)]
    defined = [e.get("id") for e in own if e.tag.startswith(BT) and e.get("id")]
    used = {e.get("resid") for e in own if e.get("resid")}
    assert len(defined) == len(set(defined))
    assert set(defined) == used
    assert all(len(name) <= 32 for name in defined)
    for kind, longest in (("ShortStrings", 125), ("LongStrings", 250)):
        texts = [value for e in own if e.getparent() is not None and etree.QName(e.getparent()).localname == kind
                 for value in (e.get("DefaultValue"), e[0].get("Value"))]  # fmt: skip
        assert texts
        assert all(0 < len(value) <= longest for value in texts)


def inside(element: Any, overrides: Any, version: str) -> bool:
    """Say whether an element belongs to this part, and not to the one nested in it."""
    nearest = next(each for each in (element, *element.iterancestors()) if each.tag.endswith("}VersionOverrides"))
    return nearest is overrides and version in overrides.tag


def test_every_word_of_the_xml_is_in_turkish_too(xml: Any) -> None:
    said = [e for e in xml.iter() if e.get("DefaultValue") and "://" not in e.get("DefaultValue")]
    assert said
    for element in said:
        (turkish,) = [child for child in element if child.get("Locale") == "tr-TR"]
        assert turkish.get("Value")


def test_mobile_has_its_nine_icons(xml: Any) -> None:
    images = xml.findall(f".//{V11}MobileFormFactor//{BT}Image")
    assert {(e.get("size"), e.get("scale")) for e in images} == {(s, x) for s in ("25", "32", "48") for x in "123"}
    assert all(e.get("resid") == f"icon.{int(e.get('size')) * int(e.get('scale'))}" for e in images)


# --- Outlook, unified ---


def test_the_unified_manifest_fits_microsofts_schema(microsoft_schemas: Path) -> None:
    import jsonschema

    for document, name in (
        (unified(PLACE), "MicrosoftTeams.schema.json"),
        (unified(APART), "MicrosoftTeams.schema.json"),
        (unified_texts(), "MicrosoftTeams.Localization.schema.json"),
    ):
        schema = json.loads((microsoft_schemas / f"v{unified(PLACE)['manifestVersion']}" / name).read_text("utf-8"))
        jsonschema.Draft4Validator(schema).validate(document)
    broken = {**unified(PLACE), "extensions": [{"ribbon": []}]}
    schema = json.loads((microsoft_schemas / "v1.30" / "MicrosoftTeams.schema.json").read_text("utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate(broken)


def test_what_the_unified_manifest_names_is_there() -> None:
    manifest = unified(APART)
    (extension,) = manifest["extensions"]
    actions = {action["id"] for runtime in extension["runtimes"] for action in runtime["actions"]}
    groups = [group for ribbon in extension["ribbons"] for tab in ribbon["tabs"] for group in tab["groups"]]
    assert {control["actionId"] for group in groups for control in group["controls"]} == actions
    assert all("/" not in host for host in manifest["validDomains"])
    assert set(manifest["validDomains"]) == {"example.test", "pane.example.test"}
    assert manifest["webApplicationInfo"]["nestedAppAuthInfo"][0]["redirectUri"] == "brk-multihub://pane.example.test"
    assert "webApplicationInfo" not in unified(PLACE)
    for path, text in unified_texts().items():
        if path != "$schema":
            assert at(manifest, path)
            assert text


def test_several_messages_at_once_are_asked_for_by_name(microsoft_schemas: Path) -> None:
    import jsonschema

    many = Site(BASE, multi_select=True)
    manifest, document = unified(many), etree.fromstring(add_in_only(many).encode())
    schema = json.loads((microsoft_schemas / "v1.30" / "MicrosoftTeams.schema.json").read_text("utf-8"))
    jsonschema.Draft4Validator(schema).validate(manifest)
    (extension,) = manifest["extensions"]
    assert extension["runtimes"][0]["actions"][0]["multiselect"] is True
    assert extension["requirements"]["capabilities"] == [{"name": "Mailbox", "minVersion": "1.13"}]
    assert manifest["authorization"]["permissions"]["resourceSpecific"][0]["name"] == "Mailbox.ReadWrite.User"
    action = document.find(f".//{V11}Action")
    assert [etree.QName(child).localname for child in action] == [
        "SourceLocation", "SupportsPinning", "SupportsMultiSelect",
    ]  # fmt: skip
    assert document.find(f".//{V10}SupportsMultiSelect") is None
    assert document.findtext(f"{OFFICE}Permissions") == "ReadWriteMailbox"
    assert "multiselect" not in json.dumps(unified(PLACE))


def test_both_manifests_are_of_one_make(xml: Any) -> None:
    manifest = unified(PLACE)
    (extension,) = manifest["extensions"]
    assert xml.findtext(f"{OFFICE}Version") == f"{manifest['version']}.0"
    assert extension["alternates"][0]["hide"]["customOfficeAddin"]["officeAddinId"] == xml.findtext(f"{OFFICE}Id")
    assert manifest["id"] != xml.findtext(f"{OFFICE}Id")
    pane = {e.get("DefaultValue") for e in xml.iter() if e.get("id") == "pane.url"}
    assert {extension["runtimes"][0]["code"]["page"]} == pane == {f"{BASE}/outlook/pane"}
    assert Site(BASE).pane_url != APART.pane_url
    assert unified(Site("https://other.test"))["id"] != manifest["id"] == unified(PLACE)["id"]


def test_the_package_holds_what_its_manifest_names() -> None:
    with zipfile.ZipFile(io.BytesIO(outlook_files(PLACE)["threadlink.zip"])) as package:
        manifest = json.loads(package.read("manifest.json"))
        sizes = {name: size_of(package.read(file)) for name, file in manifest["icons"].items()}
        assert json.loads(package.read(manifest["localizationInfo"]["additionalLanguages"][0]["file"]))
    assert sizes == {"outline": (32, 32), "color": (192, 192)}
    assert outlook_files(PLACE) == outlook_files(PLACE)


# --- icons and addresses ---


def test_the_bitmaps_are_those_of_the_mark() -> None:
    bitmaps = dict(drawn())
    assert {path.name for path in ICONS.glob("*.png")} == bitmaps.keys()
    assert [name for name, bitmap in bitmaps.items() if (ICONS / name).read_bytes() != bitmap] == []


def test_every_address_leads_to_this_installation_and_every_icon_is_served() -> None:
    app = Flask("icons")
    app.register_blueprint(icons.blueprint())
    app.after_request(hardening(is_https=True))
    documents = (json.dumps(gmail(BASE)), add_in_only(PLACE), json.dumps(unified(PLACE)))
    found = {url for text in documents for url in re.findall(r"https://[^\"<>\s]+", text)}
    ours = {
        url for url in found if not url.startswith(("https://developer.microsoft.com/", "https://www.googleapis.com/"))
    }
    assert all(url == BASE or url.startswith(f"{BASE}/") for url in ours)
    pictures = {urlsplit(url).path for url in ours if url.endswith(".png")}
    assert len(pictures) > 10
    client = app.test_client()
    for path in pictures:
        answer = client.get(path, buffered=True)
        size = int(path.rpartition("-")[2].removesuffix(".png"))
        assert (answer.status_code, answer.mimetype, size_of(answer.data)) == (200, "image/png", (size, size))
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer.headers["Cache-Control"].startswith("public")
    assert client.get("/icons/..%2fdraw.png").status_code == 404


@pytest.mark.parametrize(
    "wrong", ["http://example.test", "example.test", "https://example.test/x", 'https://a"b.test', "https://a.test?x"]
)
def test_an_address_that_vendors_refuse_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError):
        site(wrong)
    with pytest.raises(SettingsError):
        site(BASE, wrong)
    with pytest.raises(SettingsError):
        site(BASE, microsoft_client_id="x")
    assert site(f"{BASE}/") == PLACE


def test_the_commands_write_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("gmail", "outlook"):
        words = ["manifest", name, "--base-url", BASE, "--out", str(tmp_path), "--json"]
        assert run(threadlink, words) == 0
    assert capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        "gmail-deployment.json", "outlook-manifest.xml", "outlook-threadlink.zip",
    }  # fmt: skip
    assert json.loads((tmp_path / "gmail-deployment.json").read_text("utf-8")) == gmail(BASE)
    assert run(threadlink, ["manifest", "gmail", "--base-url", "http://x.test", "--out", str(tmp_path)]) == 2


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def at(document: Any, path: str) -> Any:
    for name in re.findall(r"[A-Za-z]+|\d+", path):
        document = document[int(name)] if name.isdigit() else document[name]
    return document


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height
