"""The texts that say why a request was refused, English and Turkish. What stands in them: wording.py."""

from __future__ import annotations

from app.linking.wording import Text

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
