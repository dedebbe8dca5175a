"""The texts behind every code, English and Turkish; those of refusals: refusals.py. How they are filled in: reasons.py.

Placeholders are the params of a decision, plus `{kind}` ("deal", "fırsat") and, in Turkish, the kind noun with the
case the sentence needs (`{to_kind}` "fırsatına", `{of_kind}` "fırsatının"): a variable itself never takes a suffix.
No code, no "ambiguous" and no "none" is ever shown to a person.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence or label. `en_many` is the English for a `{person}` or `{address}` that is a list."""

    en: str
    tr: str
    action: str | None = None  # a key of ACTIONS: the one thing that would change what the sentence says
    en_many: str = ""


# What can be done about it, in the words of the buttons.
ACTIONS: dict[str, Text] = {
    "change_link": Text("Change link", "Bağlı öğeyi değiştir"),
    "change_plan": Text("Change the plan", "Planı değiştir"),
    "choose": Text("Choose", "Seç"),
    "confirm": Text("Confirm", "Onayla"),
    "confirm_sender": Text("It is genuine", "Gönderen gerçek"),
    "create_item": Text("Create a deal, lead or project", "Fırsat, potansiyel müşteri veya proje oluştur"),
    "create_person": Text("Create person", "Kişi oluştur"),
    "disconnect_account": Text("Disconnect the account", "Hesabın bağlantısını kes"),
    "edit_blocklist": Text("Edit blocked addresses", "Engellenen adresleri düzenle"),
    "join": Text("Join", "Birleştir"),
    "link_by_hand": Text("Link item", "Öğeyi bağla"),
    "try_again": Text("Try again", "Yeniden dene"),
    "turn_on_auto_link": Text("Turn on automatic linking", "Otomatik bağlamayı aç"),
    "unlink": Text("Unlink", "Bağlantıyı kaldır"),
}

# What decide() answers.
DECISIONS: dict[str, Text] = {
    "only_open_item": Text(
        "Linked: the only open item of {person}.", "Bağlandı: {person} için tek açık öğe bu.", "unlink"
    ),
    "learned_choice": Text(
        "Linked: {item} was chosen {n} times for the same people.",
        "Bağlandı: aynı kişiler için {n} kez {item} seçildi.",
        "unlink",
    ),
    "follows_conversation": Text(
        "The conversation is linked to “{item}”; new messages follow it.",
        "Konuşma “{item}” {to_kind} bağlı; yeni mesajlar da oraya eklenir.",
        "change_link",
    ),
    "several_open_items": Text(
        "{person} has {n} open items. Choose one.",
        "{person} için {n} açık öğe var. Birini seçin.",
        "choose",
        en_many="{person} have {n} open items. Choose one.",
    ),
    "item_closed": Text(
        "{item} is {state}; only open items are linked automatically.",
        "{item} {state}; yalnızca açık öğeler otomatik bağlanır.",
        "link_by_hand",
    ),
    "no_open_item": Text(
        "{person} has no open deal, lead or project.",
        "{person} için açık fırsat, potansiyel müşteri veya proje yok.",
        "create_item",
        en_many="{person} have no open deal, lead or project.",
    ),
    "no_open_item_group": Text(
        "None of the {n} recipients has an open item.", "{n} alıcının hiçbirinin açık öğesi yok.", "create_item"
    ),
    "item_newer_than_message": Text(
        "{item} was created after this e-mail; e-mail is not linked retroactively.",
        "{item} bu e-postadan sonra oluşturuldu; e-postalar geriye dönük olarak bağlanmaz.",
        "link_by_hand",
    ),
    "no_known_person": Text(
        "None of these addresses belongs to a person in the CRM.",
        "Yazışmadaki adreslerden hiçbiri CRM'de kişi olarak kayıtlı değil.",
        "create_person",
    ),
    "sender_unknown": Text(
        "{address} is not a person in the CRM. Create the person, or link by hand.",
        "{address} CRM'de kişi olarak kayıtlı değil. Kişiyi oluşturun veya elle bağlayın.",
        "create_person",
    ),
    "auto_link_off": Text(
        "Automatic linking is off for {account}.",
        "{account} hesabı için otomatik bağlama kapalı.",
        "turn_on_auto_link",
    ),
    "internal_only": Text("Only colleagues take part.", "Yalnızca ekip içi yazışma."),
    "sender_not_authenticated": Text(
        "The mail provider could not verify that this is from {address}. If you know that it is genuine, say so.",
        "E-posta sağlayıcısı gönderenin {address} olduğunu doğrulayamadı. Gerçek olduğunu biliyorsanız belirtin.",
        "confirm_sender",
    ),
    "automated_message": Text(
        "Automated mail is not linked automatically. Link it by hand if it matters.",
        "Otomatik gönderilen mesajlar kendiliğinden bağlanmaz. Gerekiyorsa elle bağlayın.",
        "link_by_hand",
    ),
    "blocked_address": Text(
        "{address} is blocked. Unblock it, or link by hand.",
        "{address} engellenmiş. Engeli kaldırın veya elle bağlayın.",
        "edit_blocklist",
        en_many="{address} are blocked. Unblock them, or link by hand.",
    ),
    "too_many_people": Text(
        "{n} people take part, more than {most}. Link it by hand.",
        "Yazışmada {n} kişi var; sınır {most} kişi. Elle bağlayın.",
        "link_by_hand",
    ),
    "unlinked_by_person": Text(
        "{member} removed the link to {item} on {date}.",
        "{member}, {date} tarihinde {item} bağlantısını kaldırdı.",
        "link_by_hand",
    ),
}

# What the review queue and the messages of a conversation show beside the decision.
REVIEWS: dict[str, Text] = {
    "linked_item_closed": Text(
        "“{item}” is {state}, and there is another open item. Move the conversation if it belongs there.",
        "“{item}” {state} ve başka bir açık öğe var. Konuşma ona aitse taşıyın.",
        "change_link",
    ),
    "lead_younger_than_conversation": Text(
        "The lead “{item}” was created after this conversation began. Check that it belongs here.",
        "“{item}” potansiyel müşterisi bu konuşma başladıktan sonra oluşturuldu. Buraya ait olduğunu kontrol edin.",
        "change_link",
    ),
    "candidates_changed": Text(
        "The CRM has changed since this was decided. Choose an item if one fits now.",
        "Bu karardan sonra CRM değişti. Şimdi uyan bir öğe varsa seçin.",
        "choose",
    ),
    "claims_conversation": Text(
        "This says that it answers “{subject}”. Join the two if that is right.",
        "Bu mesaj “{subject}” konuşmasına yanıt olduğunu söylüyor. Doğruysa birleştirin.",
        "join",
    ),
    "kept_apart": Text(
        "This and “{subject}” may be one conversation. Join the two if that is right.",
        "Bu ve “{subject}” tek bir konuşma olabilir. Doğruysa birleştirin.",
        "join",
    ),
    "linked_differently": Text(
        "This and “{subject}” belong together but are linked to different items. Change one link first.",
        "Bu ve “{subject}” birbirine ait ama farklı öğelere bağlı. Önce birinin bağlantısını değiştirin.",
        "change_link",
    ),
    "merging_stopped": Text(
        "More than {n} conversations of {account} were joined within an hour, so joining has stopped. Look at them.",
        "{account} hesabında bir saat içinde {n} konuşmadan fazlası birleşti; birleştirme durduruldu. Onlara bakın.",
    ),
    "message_id_reused": Text(
        "Another message carries the same Message-ID with other content. Both are kept.",
        "Başka bir mesaj aynı Message-ID ile farklı içerik taşıyor. İkisi de saklandı.",
    ),
    "new_here": Text("New here: {address} did not take part before.", "Yeni katılan: {address}."),
    "note_waits": Text(
        "Linked. The note in the CRM waits until {at}.", "Bağlandı. CRM'deki not {at} zamanına kadar bekliyor."
    ),
}

# What happened, said where it was done and in the history.
NOTICES: dict[str, Text] = {
    "linked": Text("Linked to the {kind} “{item}”.", "“{item}” {to_kind} bağlandı."),
    "unlinked": Text(
        "Unlinked from the {kind} “{item}”. It will not be linked to it automatically again.",
        "“{item}” {of_kind} bağlantısı kaldırıldı. Bir daha otomatik olarak bağlanmaz.",
    ),
    "moved": Text("Moved from “{other}” to the {kind} “{item}”.", "“{other}” yerine “{item}” {to_kind} bağlandı."),
    "dismissed": Text("Marked as not about any item.", "Hiçbir öğeyle ilgili değil olarak işaretlendi."),
    "bulk_linked": Text(
        "{n} of {total} conversations linked to the {kind} “{item}”.",
        "{total} konuşmadan {n} tanesi “{item}” {to_kind} bağlandı.",
    ),
    "undone": Text("Undone.", "Geri alındı."),
    "merge_undone": Text(
        "Two conversations again. They will not be joined automatically.",
        "Yeniden iki ayrı konuşma. Otomatik olarak birleştirilmezler.",
    ),
    "sender_trusted": Text("Marked as genuine.", "Gerçek olarak işaretlendi."),
    "earlier_messages": Text("{n} earlier messages come along.", "Önceki {n} mesaj da birlikte bağlanır."),
}

# What speaks for a candidate or a suggestion.
EVIDENCE: dict[str, Text] = {
    "main_contact": Text("{person} is the contact person.", "İletişim kişisi: {person}."),
    "participant": Text("{person} is a participant.", "Katılımcılardan biri: {person}."),
    "shared_address": Text("{person} share the address {address}.", "{person} aynı adresi kullanıyor: {address}."),
    "matched_through_recipient": Text(
        "{person} was matched through {field}; the sender is unknown.",
        "{person}, {field} alanından eşleşti; gönderen tanınmıyor.",
    ),
    "older_than_conversation": Text(
        "Created on {date}, before this conversation.", "{date} tarihinde, bu konuşmadan önce oluşturuldu."
    ),
    "younger_than_conversation": Text(
        "Created on {date}, after this conversation began.",
        "{date} tarihinde, bu konuşma başladıktan sonra oluşturuldu.",
    ),
    "similar_address": Text(
        "{person} has a similar address: {address}.", "{person} için benzer bir adres kayıtlı: {address}."
    ),
    "reply_to": Text("Replies go to {person}.", "Yanıtların gideceği kişi: {person}."),
    "organization_item": Text("Belongs to {organization}.", "Kuruluş: {organization}."),
    "number_in_subject": Text("The subject names its number {number}.", "Konuda numarası geçiyor: {number}."),
    "title_in_subject": Text("The subject names its title.", "Konuda başlığı geçiyor."),
    "shared_words": Text("Subject and title share: {words}.", "Konu ve başlıkta ortak: {words}."),
    "same_people": Text(
        "Earlier conversations of the same people that are linked to it: {n}.",
        "Aynı kişilerin önceki {n} konuşması buna bağlı.",
    ),
    "chosen_before": Text("Times chosen for the same people: {n}.", "Aynı kişiler için {n} kez seçildi."),
    "unlinked_before": Text(
        "{member} took this conversation off it on {date}.", "{member}, {date} tarihinde bu bağlantıyı kaldırdı."
    ),
    "recent_activity": Text("Last changed on {date}.", "Son değişiklik: {date}."),
}

# What a person reads for a code that has no sentence.
UNKNOWN = Text(
    "There is no explanation for this. Ask an administrator.", "Bunun bir açıklaması yok. Bir yöneticiye sorun."
)

# The outcome of a decision in one or two words.
OUTCOMES: dict[str, Text] = {
    "link": Text("linked", "bağlandı"),
    "keep": Text("linked", "bağlı"),
    "ambiguous": Text("choose", "seçim bekliyor"),
    "none": Text("not linked", "bağlı değil"),
}

STATES: dict[str, Text] = {
    "open": Text("open", "açık"),
    "won": Text("won", "kazanıldı"),
    "lost": Text("lost", "kaybedildi"),
    "completed": Text("completed", "tamamlandı"),
    "canceled": Text("canceled", "iptal edildi"),
    "archived": Text("archived", "arşivlendi"),
    "converted": Text("converted", "dönüştürüldü"),
    "deleted": Text("deleted", "silindi"),
}

KINDS: dict[str, Text] = {
    "deal": Text("deal", "fırsat"),
    "lead": Text("lead", "potansiyel müşteri"),
    "project": Text("project", "proje"),
    "person": Text("person", "kişi"),
    "organization": Text("organization", "kuruluş"),
    "item": Text("item", "öğe"),
}

# The Turkish kind noun after a title: (“x” …) to it, of it.
TURKISH_CASES: dict[str, tuple[str, str]] = {
    "deal": ("fırsatına", "fırsatının"),
    "lead": ("potansiyel müşterisine", "potansiyel müşterisinin"),
    "project": ("projesine", "projesinin"),
    "person": ("kişisine", "kişisinin"),
    "organization": ("kuruluşuna", "kuruluşunun"),
    "item": ("öğesine", "öğesinin"),
}

# What stands where a param is missing, so that a sentence is never broken.
MISSING: dict[str, Text] = {
    "account": Text("this account", "e-posta"),
    "address": Text("this address", "bu adres"),
    "date": Text("an earlier day", "daha önceki"),
    "item": Text("the item", "öğe"),
    "member": Text("Somebody", "Birisi"),
    "organization": Text("the organization", "kuruluş"),
    "other": Text("another item", "başka bir öğe"),
    "person": Text("This person", "Bu kişi"),
    "state": Text("closed", "kapalı"),
    "subject": Text("another conversation", "başka bir konuşma"),
}
MISSING_OTHERWISE = Text("some", "birkaç")

MONTHS = Text(
    "January February March April May June July August September October November December",
    "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
)
