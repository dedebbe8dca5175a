"""What the pages say, in English and Turkish; the sentences of reasons stand in linking.reasons."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Request

LOCALES = ("en", "tr")
DEFAULT_LOCALE = "en"

_EN = {
    "connect_title": "Connect a mailbox",
    "connect_intro": "threadlink will read the e-mail of this mailbox and link its conversations to items in the CRM.",
    "team": "Team",
    "member": "Member",
    "mailbox": "Mailbox",
    "mailbox_open": "the one you choose at {provider}",
    "kind": "Kind",
    "kind_personal": "Personal account",
    "kind_team": "Team account",
    "auto_link": "Link conversations automatically",
    "auto_link_hint": "On unless you say no now. You can change it later; nothing is linked retroactively.",
    "continue": "Continue to {provider}",
    "confirm_title": "Is this the mailbox you meant?",
    "confirm_intro": "The consent was given for {address}. The link was made for {member}.",
    "confirm_warning": "Go on only if you made or asked for this link yourself: team {team} will read this mailbox.",
    "confirm_yes": "Yes, connect {address}",
    "confirm_no": "No, do not connect it",
    "done_title": "The mailbox is connected",
    "done_intro": "{address} is being read now. You can close this page.",
    "crm": "CRM",
    "crm_title": "Connect {crm}",
    "crm_intro": "threadlink will read people and items in {crm}, and show linked conversations on them.",
    "crm_done_title": "{crm} is connected",
    "crm_done_intro": "People and items of {company} are being read now. You can close this page.",
    "crm_installed_title": "One step is missing in {crm}",
    "crm_installed_intro": "The app is installed, but no team is connected yet. An administrator of the team makes a"
    " one-time link with this command and opens it:",
    "declined_title": "Nothing was connected",
    "declined_intro": "The consent was given back. You can close this page.",
    "problem_title": "That did not work",
    "problem_mailbox_unavailable": "This account has no mailbox that threadlink can read.",
    "problem_consent_refused": "The provider gave no access. Open the link again, and tick every permission.",
    "problem_admin_blocked": "An administrator of your mail must allow threadlink first.",
    "problem_misconfigured": "threadlink is not set up correctly at the mail provider. Tell your administrator.",
    "problem_provider_unavailable": "The mail provider does not answer now. Try again in a few minutes.",
    "problem_database_unreachable": "The service is not available now. Try again in a minute.",
    "problem_internal": "Something unforeseen went wrong; it was noted.",
    "status_400": "The request is not valid.",
    "status_401": "Send an API key that is valid: Authorization: Bearer tl_…",
    "status_403": "You may not do this.",
    "status_404": "There is nothing here that you may see.",
    "status_405": "This address does not take that kind of request.",
    "status_413": "The request is too large.",
    "status_415": "Send JSON, with Content-Type: application/json.",
    "status_other": "The request could not be answered.",
}

_TR = {
    "connect_title": "Posta kutusu bağla",
    "connect_intro": "threadlink bu kutunun e-postalarını okuyacak ve konuşmalarını CRM öğelerine bağlayacak.",
    "team": "Ekip",
    "member": "Üye",
    "mailbox": "Posta kutusu",
    "mailbox_open": "{provider} sayfasında seçeceğiniz kutu",
    "kind": "Tür",
    "kind_personal": "Kişisel hesap",
    "kind_team": "Ekip hesabı",
    "auto_link": "Konuşmalar otomatik bağlansın",
    "auto_link_hint": "Şimdi kapatmazsanız açıktır. Sonra değiştirebilirsiniz; geriye dönük olarak bağlanmaz.",
    "continue": "{provider} sayfasına geç",
    "confirm_title": "Bağlamak istediğiniz kutu bu mu?",
    "confirm_intro": "Onay {address} için verildi. Bağlantı {member} için oluşturulmuştu.",
    "confirm_warning": (
        "Yalnızca bu bağlantıyı kendiniz oluşturduysanız veya istediyseniz devam edin: {team} ekibi bu kutuyu okuyacak."
    ),
    "confirm_yes": "Evet, {address} adresini bağla",
    "confirm_no": "Hayır, bağlama",
    "done_title": "Posta kutusu bağlandı",
    "done_intro": "{address} adresi şimdi okunuyor. Bu sayfayı kapatabilirsiniz.",
    "crm": "CRM",
    "crm_title": "{crm} bağla",
    "crm_intro": "threadlink {crm} içindeki kişileri ve öğeleri okuyacak, bağlı konuşmaları onların üzerinde"
    " gösterecek.",
    "crm_done_title": "{crm} bağlandı",
    "crm_done_intro": "{company} şirketinin kişileri ve öğeleri şimdi okunuyor. Bu sayfayı kapatabilirsiniz.",
    "crm_installed_title": "{crm} için bir adım eksik",
    "crm_installed_intro": "Uygulama yüklendi ama henüz hiçbir ekip bağlı değil. Ekibin bir yöneticisi şu komutla tek"
    " kullanımlık bir bağlantı oluşturup açar:",
    "declined_title": "Hiçbir şey bağlanmadı",
    "declined_intro": "Verilen onay geri alındı. Bu sayfayı kapatabilirsiniz.",
    "problem_title": "İşlem tamamlanamadı",
    "problem_mailbox_unavailable": "Bu hesabın threadlink'in okuyabileceği bir posta kutusu yok.",
    "problem_consent_refused": "Sağlayıcı erişim vermedi. Bağlantıyı yeniden açın ve bütün izinleri işaretleyin.",
    "problem_admin_blocked": "Önce e-posta yöneticinizin threadlink'e izin vermesi gerekiyor.",
    "problem_misconfigured": "threadlink, e-posta sağlayıcısında doğru kurulmamış. Yöneticinize bildirin.",
    "problem_provider_unavailable": "E-posta sağlayıcısı şu anda yanıt vermiyor. Birkaç dakika sonra yeniden deneyin.",
    "problem_database_unreachable": "Hizmet şu anda kullanılamıyor. Bir dakika sonra yeniden deneyin.",
    "problem_internal": "Öngörülmeyen bir hata oluştu ve kaydedildi.",
    "status_400": "İstek geçerli değil.",
    "status_401": "Geçerli bir API anahtarı gönderin: Authorization: Bearer tl_…",
    "status_403": "Bunu yapma yetkiniz yok.",
    "status_404": "Burada görebileceğiniz bir şey yok.",
    "status_405": "Bu adres böyle bir istek kabul etmiyor.",
    "status_413": "İstek çok büyük.",
    "status_415": "JSON gönderin: Content-Type: application/json.",
    "status_other": "İstek yanıtlanamadı.",
}

_WORDS: Mapping[str, Mapping[str, str]] = {"en": _EN, "tr": _TR}
_PROVIDERS = {"gmail": "Google", "graph": "Microsoft"}


def words(locale: str) -> Mapping[str, str]:
    """Return every text of the pages in a locale; an unknown locale gets English."""
    return _WORDS.get(locale, _EN)


def provider_name(provider: str) -> str:
    """Return what people call a provider; one that came as a plug-in is called by its own name."""
    return _PROVIDERS.get(provider, provider)


def browser_locale(request: Request) -> str:
    """Return the locale a browser asks for, for pages that know no team."""
    return request.accept_languages.best_match(LOCALES) or DEFAULT_LOCALE
