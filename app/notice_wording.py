"""What letters to members say, English and Turkish."""

from __future__ import annotations

from collections.abc import Mapping

EN = {
    "account_sick_subject": "{address}: e-mail is not in step",
    "account_sick_text": """Hello {name},

the mailbox {address} of {team} has not been in step since {at}.

{what}

Nothing is lost: what arrives meanwhile is read as soon as this is put right. Look here:
{url}

You get one letter when it recovers, and no other about this.
""",
    "account_well_subject": "{address}: e-mail is read again",
    "account_well_text": """Hello {name},

the mailbox {address} of {team} is in step again. What arrived meanwhile is being read.

{url}
""",
    "digest_subject": "{n} conversations wait for your choice",
    "digest_subject_one": "One conversation waits for your choice",
    "digest_text": """Good morning {name},

these conversations of {team} wait for you to choose an item:

{lines}

Choose here:
{url}

You asked for this letter once a day. To stop it:
{stop}
""",
    "digest_more": "and {n} more",
    "webhook_off_subject": "The webhook at {host} was turned off",
    "webhook_off_text": """Hello {name},

the webhook of {team} at {host} has been off since {at}. {what}

It is told nothing until an administrator turns it on again. Its address and its last deliveries:
{url}

You get no other letter about this.
""",
    "webhook_off_gone": "It answered that it is gone.",
    "webhook_off_unreachable": "Nothing got through for a day.",
    "webhook_off_no_administrator": "The administrator it acted for is none any more.",
    "mail_held_subject": "Mail that you sent to Smart BCC is held back",
    "mail_held_text": """Hello {name},

threadlink could not tell whether mail to your Smart BCC address of {team} is yours.
Messages that wait: {n}.

They are neither read nor linked until you say what they are:
{url}

You get this letter once a day at most, and only when more is held back.
""",
    "invitation_subject": "{by} invites you to {team}",
    "invitation_text": """Hello {name},

{by} invites you to join {team} in threadlink, which puts e-mail conversations on the right deal.

Open this to join. It works once, until {until}:
{url}

If you did not expect this, do nothing.
""",
    "no_subject": "(no subject)",
    "notice_degraded": "The mail provider does not answer. Reading goes on by itself as soon as it does.",
    "notice_throttled": "The mail provider asked threadlink to slow down. Reading goes on by itself.",
    "notice_reauth_required": "The mailbox no longer accepts threadlink's access. Connect it again.",
    "notice_admin_blocked": "An administrator's policy blocks the access. Have it allowed, then connect again.",
    "notice_mailbox_unavailable": "The mailbox is gone or has no mail service. It is tried once a day.",
    "notice_sync_late": "The mailbox was not read for some time. Whoever runs threadlink should look at the workers.",
    "notice_pushes_off": "There is no registration for pushes, so new mail is found late.",
    "notice_messages_waiting": "Messages wait to be read.",
}

TR = {
    "account_sick_subject": "{address}: e-postalar eşitlenmiyor",
    "account_sick_text": """Merhaba {name},

{team} ekibindeki {address} kutusu şu zamandan beri eşit değil: {at}.

{what}

Hiçbir şey kaybolmaz: bu arada gelenler, sorun giderilince okunur. Buraya bakın:
{url}

Düzelince bir e-posta alırsınız; bu konuda başka e-posta gönderilmez.
""",
    "account_well_subject": "{address}: e-postalar yeniden okunuyor",
    "account_well_text": """Merhaba {name},

{team} ekibindeki {address} kutusu yeniden eşit. Bu arada gelenler okunuyor.

{url}
""",
    "digest_subject": "Seçiminizi bekleyen {n} konuşma var",
    "digest_subject_one": "Seçiminizi bekleyen bir konuşma var",
    "digest_text": """Günaydın {name},

{team} ekibinde şu konuşmalar bir öğe seçmenizi bekliyor:

{lines}

Buradan seçin:
{url}

Bu e-postayı günde bir kez istediniz. Durdurmak için:
{stop}
""",
    "digest_more": "ve {n} konuşma daha",
    "webhook_off_subject": "{host} adresindeki webhook kapatıldı",
    "webhook_off_text": """Merhaba {name},

{team} ekibinin {host} adresindeki webhook'u kapalı. Kapanma zamanı: {at}. {what}

Bir yönetici yeniden açana kadar hiçbir şey bildirilmez. Adresi ve son gönderimleri:
{url}

Bu konuda başka e-posta gönderilmez.
""",
    "webhook_off_gone": "Artık var olmadığını bildirdi.",
    "webhook_off_unreachable": "Bir gün boyunca ulaşılamadı.",
    "webhook_off_no_administrator": "Adına çalıştığı kişi artık yönetici değil.",
    "mail_held_subject": "Smart Bcc'ye gönderdiğiniz e-postalar bekletiliyor",
    "mail_held_text": """Merhaba {name},

threadlink, {team} ekibindeki Smart Bcc adresinize gelen e-postaların sizden olup olmadığını anlayamadı.
Bekleyen mesaj: {n}.

Ne olduklarını söyleyene kadar okunmaz ve bağlanmazlar:
{url}

Bu e-posta günde en çok bir kez, yalnızca yenileri bekletilince gönderilir.
""",
    "invitation_subject": "{by} sizi davet ediyor: {team}",
    "invitation_text": """Merhaba {name},

{by} sizi threadlink'te {team} ekibine davet ediyor. threadlink, e-posta konuşmalarını doğru fırsata bağlar.

Katılmak için açın. Bir kez çalışır, {until} tarihine kadar geçerlidir:
{url}

Böyle bir davet beklemiyorsanız bir şey yapmanız gerekmez.
""",
    "no_subject": "(konu yok)",
    "notice_degraded": "E-posta sağlayıcısı yanıt vermiyor. Yanıt verince okuma kendiliğinden sürer.",
    "notice_throttled": "E-posta sağlayıcısı yavaşlamamızı istedi. Okuma kendiliğinden sürer.",
    "notice_reauth_required": "Posta kutusu threadlink'in erişimini artık kabul etmiyor. Yeniden bağlayın.",
    "notice_admin_blocked": "Bir yönetici ilkesi erişimi engelliyor. İzin verilsin, sonra yeniden bağlayın.",
    "notice_mailbox_unavailable": "Posta kutusu yok ya da e-posta hizmeti yok. Günde bir kez denenir.",
    "notice_sync_late": "Kutu bir süredir okunmadı. threadlink'i işleten, worker'ın çalıştığına baksın.",
    "notice_pushes_off": "Bildirim kaydı yok; yeni e-postalar geç bulunur.",
    "notice_messages_waiting": "Okunmayı bekleyen mesajlar var.",
}

_WORDS: Mapping[str, Mapping[str, str]] = {"en": EN, "tr": TR}


def words(locale: str) -> Mapping[str, str]:
    """Return every text of the letters in a locale; an unknown locale gets English."""
    return _WORDS.get(locale, EN)
