"""What mail programs write around a forwarded mail, in the languages they speak (mail-connectors.md 5.5)."""

from __future__ import annotations

import re
import unicodedata

# Between rows of dashes: Gmail, Yahoo, Thunderbird, IONOS, Outlook, HubSpot.
_BETWEEN_DASHES = """
forwarded message | original message | original email | iletilmiş mesaj | iletilen ileti | özgün ileti | orijinal mesaj
yönlendirilmiş mesaj | weitergeleitete nachricht | weitergeleitete mail | ursprüngliche nachricht
original-nachricht | message transféré | message transmis | message d'origine | mensaje reenviado | mensaje original
messaggio inoltrato | messaggio originale | doorgestuurd bericht | oorspronkelijk bericht | mensagem encaminhada
mensagem reencaminhada | mensagem original | videresendt meddelelse | videresendt besked | videresendt melding
oprindelig meddelelse | opprinnelig melding | vidarebefordrat meddelande | ursprungligt meddelande
välitetty viesti | alkuperäinen viesti | przekazana wiadomość | wiadomość przekazana dalej | wiadomość oryginalna
přeposlaná zpráva | původní zpráva | preposlaná správa | pôvodná správa | továbbított üzenet | továbbított levél
eredeti üzenet | mesaj redirecționat | mesaj original | пересылаемое сообщение | пересланное сообщение
исходное сообщение | переслане повідомлення | προωθημένο μήνυμα | αρχικό μήνυμα | 転送メッセージ | 转发的邮件 | 原始邮件
轉寄的郵件 | 전달된 메시지 | 원본 메시지 | הודעה שהועברה | رسالة مُعاد توجيهها
"""

# At the end of a line, before a colon: Apple Mail, and MailMate's.
_BEFORE_A_COLON = """
begin forwarded message | forwarded message | i̇leti başlangıcı | iletilen mesajın başlangıcı
anfang der weitergeleiteten nachricht | weitergeleitete nachricht | début du message réexpédié
début du message transféré | inicio del mensaje reenviado | inizio messaggio inoltrato | begin doorgestuurd bericht
início da mensagem reencaminhada | início da mensagem encaminhada | start på videresendt besked
start på videresendt melding | videresendt melding | vidarebefordrat brev | börja vidarebefordrat meddelande
vidarebefordrat mejl | välitetty viesti alkaa | välitettävä viesti alkaa | początek przekazywanej wiadomości
začátek přeposílané zprávy | začiatok preposlanej správy | a továbbított levél kezdete
início de mensagem reencaminhada | începe mesajul redirecționat | начало переадресованного сообщения
початок листа, що пересилається | αρχή προωθημένου μηνύματος | 転送されたメッセージ | 以下是转发的邮件 | 開始轉寄郵件
전달된 메시지 시작 | התחלת הודעה שהועברה | počinje proslijeđena poruka | inici del missatge reenviat
"""

_LABELS = {
    "from": """from von de da van fra från od kimden gönderen lähettäjä feladó от від από 送信元 差出人 发件人 寄件者
        expéditeur remitente mittente afzender avsändare nadawca odesílatel odosielateľ expeditor""",
    "to": """to an para à a aan til till kime alıcı vastaanottaja komu do címzett кому προς 送信先 宛先 收件人 pour
        destinataire destinatario către""",
    "cc": "cc kopie copie bilgi kopia kopi kópia dw másolat копия копія κοιν. 抄送 副本 ug",
    "subject": """subject betreff asunto objet sujet oggetto onderwerp assunto konu emne ämne aihe temat tárgy předmět
        predmet тема θέμα 件名 主题 主旨 subiect""",
    "date": """date sent datum gesendet fecha enviado envoyé le data inviato verzonden tarih gönderilme gönderilmiş
        gönderildi dato sendt skickat päiväys päivämäärä lähetetty wysłano dátum elküldve odesláno дата отправлено
        надіслано ημερομηνία 日付 送信日時 日期 发送时间 trimis""",
}
# Of two words, as Turkish Outlook and Windows Mail write them.
_TWO_WORDS = {"gönderme tarihi": "date", "gönderim tarihi": "date", "gönderilme tarihi": "date", "date d'envoi": "date"}

_WROTE = re.compile(
    r"(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|napisał\(?a?\)?|skrev|kirjoitti|yazdı"
    r"|napsal\(?a?\)?|írta|написал\(?а?\)?|пишет)\s*:\s*$",
    re.IGNORECASE,
)


def fold(value: str) -> str:
    """Fold case and the Turkish i, for comparing words of any of the languages."""
    folded = unicodedata.normalize("NFKC", value).replace("İ", "i").replace("ı", "i").casefold()
    return " ".join(folded.replace("\u0307", "").replace("’", "'").split())


_DASHED = frozenset(
    fold(phrase) for line in _BETWEEN_DASHES.splitlines() for phrase in line.split("|") if phrase.strip()
)
_COLON = frozenset(
    fold(phrase) for line in _BEFORE_A_COLON.splitlines() for phrase in line.split("|") if phrase.strip()
)
_FIELDS = {fold(word): field for field, words in _LABELS.items() for word in words.split()} | {
    fold(words): field for words, field in _TWO_WORDS.items()
}
_IN_DASHES = re.compile(r"-{4,20}\s*([^-\s].{0,60}?)\s*-{4,20}")
_UNDERSCORES = re.compile(r"_{20,60}")
_LABELLED = re.compile(r"\s*\*?\s*([^\W\d_][^:：*<>@]{0,24}?)\s*\*?\s*[:：]\s*\*?\s*(.*)")


def is_separator(line: str) -> bool:
    """Say whether a line stands between what the forwarder wrote and what is forwarded."""
    stripped = line.strip()
    if _UNDERSCORES.fullmatch(stripped):
        return True
    dashed = _IN_DASHES.fullmatch(stripped)
    if dashed:
        return fold(dashed[1]) in _DASHED
    return stripped.endswith((":", "：")) and fold(stripped[:-1]) in _COLON


def labelled(line: str) -> tuple[str, str] | None:
    """Return (field, value) of a header line in any of the languages: from, to, cc, subject, date."""
    found = _LABELLED.fullmatch(line)
    field = _FIELDS.get(fold(found[1])) if found else None
    return (field, found[2].strip()) if found and field else None


def says_wrote(line: str) -> bool:
    """Say whether a line introduces a quote: "On Monday Bea wrote:"."""
    return _WROTE.search(line) is not None
