"""The texts behind every code, English and Turkish. How they are filled in: reasons.py.

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

# Why a request was refused.
REFUSALS: dict[str, Text] = {
    "not_owner": Text(
        "Only the conversation's owner or an administrator can link it.",
        "Bu konuşmayı yalnızca sahibi veya bir yönetici bağlayabilir.",
    ),
    "not_found": Text("There is nothing here that you may see.", "Burada görebileceğiniz bir şey yok."),
    "not_administrator": Text("Only an administrator can do this.", "Bunu yalnızca bir yönetici yapabilir."),
    "private": Text("This conversation is private. Ask its owner.", "Bu konuşma gizli. Konuşma sahibine sorun."),
    "item_deleted": Text(
        "“{item}” was deleted in the CRM. Restore it there, or choose another item.",
        "“{item}” CRM'de silindi. Orada geri yükleyin veya başka bir öğe seçin.",
        "choose",
    ),
    "item_unknown": Text(
        "The CRM does not know this item. Search for it again.",
        "CRM bu öğeyi tanımıyor. Yeniden arayın.",
        "choose",
    ),
    "kind_not_linkable": Text(
        "A conversation is linked to a deal, lead or project. Choose one.",
        "Bir konuşma fırsata, potansiyel müşteriye veya projeye bağlanır. Birini seçin.",
        "choose",
    ),
    "already_linked": Text(
        "The conversation is already linked to “{item}”. Change the link to move it.",
        "Konuşma zaten “{item}” {to_kind} bağlı. Taşımak için bağlı öğeyi değiştirin.",
        "change_link",
    ),
    "not_linked": Text(
        "The conversation is not linked. Link it first.", "Konuşma bağlı değil. Önce bağlayın.", "link_by_hand"
    ),
    "sender_not_in_doubt": Text(
        "Nobody doubts the sender of this conversation. There is nothing to confirm.",
        "Bu konuşmanın göndereninden şüphe edilmiyor. Onaylanacak bir şey yok.",
    ),
    "confirm_move": Text(
        "The conversation is linked to “{item}”. Confirm to link it to “{other}” instead.",
        "Konuşma “{item}” {to_kind} bağlı. Bunun yerine “{other}” ile bağlamak için onaylayın.",
        "confirm",
    ),
    "changed_meanwhile": Text(
        "Somebody changed this in the meantime. Look again, then repeat it.",
        "Bu arada başka biri bunu değiştirdi. Yeniden bakın, sonra tekrarlayın.",
        "try_again",
    ),
    "undo_expired": Text(
        "This can no longer be undone. Change it by hand.", "Bu artık geri alınamaz. Elle değiştirin."
    ),
    "nothing_to_undo": Text("There is nothing to undo.", "Geri alınacak bir şey yok."),
    "work_running": Text(
        "This is still being done. Wait until it has ended, then try again.",
        "Bu işlem hâlâ sürüyor. Bitmesini bekleyin, sonra yeniden deneyin.",
        "try_again",
    ),
    "work_begun": Text(
        "This was begun already. Look at how far it is.",
        "Bu işlem zaten başlatıldı. Ne kadar ilerlediğine bakın.",
    ),
    "offer_settled": Text(
        "Nothing is left of this offer: it was answered, or its conversations were linked meanwhile.",
        "Bu öneriden geriye bir şey kalmadı: yanıtlandı ya da konuşmaları bu arada bağlandı.",
    ),
    "plan_required": Text(
        "Your plan does not include mailbox sync. Change the plan, or use Smart BCC.",
        "Planınız posta kutusu eşitlemeyi içermiyor. Planı değiştirin veya Smart Bcc kullanın.",
        "change_plan",
    ),
    "address_in_use": Text(
        "{address} is already connected. Disconnect it there before connecting it here.",
        "{address} zaten bağlı. Burada bağlamadan önce oradaki bağlantıyı kesin.",
        "disconnect_account",
    ),
    "not_your_mailbox": Text(
        "{address} is not a mailbox of yours. Open the add-on in your own mailbox, and follow its link there.",
        "{address} sizin posta kutunuz değil. Eklentiyi kendi posta kutunuzda açın ve oradaki bağlantıyı izleyin.",
    ),
    "choice_expired": Text(
        "This was open for too long. Look again, then choose.",
        "Bu ekran çok uzun süre açık kaldı. Yeniden bakın, sonra seçin.",
        "try_again",
    ),
    "other_mailbox": Text(
        "{address} now belongs to another mailbox. Disconnect the old account first.",
        "{address} artık başka bir posta kutusuna ait. Önce eski hesabın bağlantısını kesin.",
        "disconnect_account",
    ),
    "other_company": Text(
        "This CRM connection leads to another company. Add it as a new connection.",
        "Bu CRM bağlantısı başka bir şirkete ait. Yeni bir bağlantı olarak ekleyin.",
    ),
    "other_origin": Text(
        "The request did not come from this page. Open the page again.",
        "İstek bu sayfadan gelmedi. Sayfayı yeniden açın.",
        "try_again",
    ),
    "link_not_valid": Text(
        "This link is not valid: it was used, has expired, or belongs to another browser. Ask for a new one.",
        "Bu bağlantı geçerli değil: kullanılmış, süresi dolmuş veya başka bir tarayıcıya ait. Yenisini isteyin.",
    ),
    "sign_in_not_valid": Text(
        "This sign-in is not valid: it was used, has expired, or was begun in another browser. Sign in again.",
        "Bu oturum açma işlemi geçerli değil: kullanılmış, süresi dolmuş veya başka bir tarayıcıda başlatılmış."
        " Yeniden oturum açın.",
        "try_again",
    ),
    "sign_in_declined": Text(
        "You were not signed in: the sign-in was cancelled. Sign in again.",
        "Oturum açılmadı: işlem iptal edildi. Yeniden oturum açın.",
        "try_again",
    ),
    "sign_in_not_proven": Text(
        "The sign-in could not be verified. Sign in again; tell your administrator if it happens twice.",
        "Oturum açma işlemi doğrulanamadı. Yeniden oturum açın; tekrarlanırsa yöneticinize bildirin.",
        "try_again",
    ),
    "sign_in_unknown": Text(
        "No team knows this account yet. Ask your administrator for an invitation.",
        "Bu hesabı henüz hiçbir ekip tanımıyor. Yöneticinizden davet isteyin.",
    ),
    "identity_in_use": Text(
        "Somebody in this team signs in with this account already. Choose another account.",
        "Bu ekipte biri zaten bu hesapla oturum açıyor. Başka bir hesap seçin.",
    ),
    "member_exists": Text(
        "{address} is a member already. Look in the list of members.",
        "{address} zaten üye. Üye listesine bakın.",
    ),
    "last_administrator": Text(
        "A team needs an administrator. Make somebody else one first.",
        "Her ekibin bir yöneticisi olmalıdır. Önce başka birini yönetici yapın.",
    ),
    "unknown_provider": Text(
        "There is no mail provider called {provider}. Choose another.",
        "{provider} adlı bir e-posta sağlayıcısı yok. Başka birini seçin.",
        "choose",
    ),
    "superseded": Text(
        "Another run is reading this mailbox. There is nothing to do.",
        "Bu posta kutusu şu anda başka bir işlemce okunuyor. Bir şey yapmanız gerekmiyor.",
    ),
    "account_not_live": Text(
        "{account} is not connected at the moment. Connect it again.",
        "{account} şu anda bağlı değil. Yeniden bağlayın.",
    ),
    "crm_unreachable": Text(
        "The CRM cannot be reached at the moment. Try again later.",
        "CRM'ye şu anda ulaşılamıyor. Daha sonra yeniden deneyin.",
        "try_again",
    ),
    "too_many_requests": Text(
        "That was too often. Wait a minute, then try again.",
        "Çok sık denediniz. Bir dakika bekleyip yeniden deneyin.",
        "try_again",
    ),
    "crm_refused": Text(
        "The CRM did not accept this. Check what was entered, and what threadlink may do there.",
        "CRM bunu kabul etmedi. Girilenleri ve threadlink'in oradaki yetkilerini kontrol edin.",
    ),
    "person_exists": Text(
        "{address} already belongs to a person in the CRM: {person}.",
        "{address} CRM'de zaten bir kişiye ait: {person}.",
    ),
    "record_unknown": Text(
        "The CRM does not know this person or organization. Search for it again.",
        "CRM bu kişiyi veya kuruluşu bilmiyor. Yeniden arayın.",
    ),
    "page_unknown": Text(
        "There is no such page of this list. Begin at its first page.",
        "Bu listenin böyle bir sayfası yok. İlk sayfadan başlayın.",
    ),
    "webhook_url_refused": Text(
        "This address cannot be called. Name an https address on the internet, without a port and a password.",
        "Bu adres çağrılamaz. İnternette, bağlantı noktası ve parola içermeyen bir https adresi girin.",
    ),
    "too_many_webhooks": Text(
        "A team has at most {n} webhooks. Remove one first.",
        "Bir ekibin en fazla {n} webhook'u olabilir. Önce birini kaldırın.",
    ),
    "webhook_disabled": Text("This webhook is turned off. Turn it on first.", "Bu webhook kapalı. Önce açın."),
    "not_supported": Text("The connected CRM cannot do this.", "Bağlı CRM bunu yapamıyor."),
    "key_reads_only": Text(
        "This API key may only read. Make one that may write.",
        "Bu API anahtarı yalnızca okuyabilir. Yazabilen bir anahtar oluşturun.",
    ),
    "idempotency_key_reused": Text(
        "This Idempotency-Key was used for another request. Use a new one.",
        "Bu Idempotency-Key başka bir istek için kullanıldı. Yeni bir anahtar kullanın.",
    ),
    "still_running": Text(
        "The same request is still running, or its outcome is not known. Look at the CRM before you repeat it with a "
        "new Idempotency-Key.",
        "Aynı istek sürüyor veya sonucu bilinmiyor. Yeni bir Idempotency-Key ile yinelemeden önce CRM'ye bakın.",
    ),
    "smart_bcc_off": Text(
        "This installation takes no mail by itself. Ask who operates it for a mail domain.",
        "Bu kurulum kendisi e-posta almıyor. İşletenden bir e-posta alan adı isteyin.",
    ),
    "no_outgoing_mail": Text(
        "This installation sends no mail, so other addresses cannot be verified. Ask who operates it.",
        "Bu kurulum e-posta göndermediği için başka adresler doğrulanamıyor. İşletene sorun.",
    ),
    "asked_today": Text(
        "A letter went to {address} within the last day. Try again tomorrow.",
        "{address} adresine son bir gün içinde mesaj gönderildi. Yarın yeniden deneyin.",
    ),
    "too_many_addresses": Text(
        "A member may have {n} addresses. Remove one first.",
        "Bir üyenin en fazla {n} adresi olabilir. Önce birini kaldırın.",
    ),
    "panel_not_proven": Text(
        "The CRM did not prove who opened this panel. Reload its page; if that does not help, tell an administrator.",
        "CRM, bu paneli kimin açtığını kanıtlamadı. Sayfasını yenileyin; olmazsa bir yöneticiye bildirin.",
        "try_again",
    ),
    "pass_expired": Text(
        "This panel was opened more than ten minutes ago. Reload the page of the CRM; nothing was changed.",
        "Bu panel on dakikadan uzun süre önce açıldı. CRM sayfasını yenileyin; hiçbir şey değişmedi.",
        "try_again",
    ),
    "invalid_request": Text(
        "The request could not be understood. Check what was entered.",
        "İstek anlaşılamadı. Girilenleri kontrol edin.",
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
