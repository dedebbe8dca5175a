"""What the Outlook pane says besides what the cards of the Gmail add-on say too (gmail_addon)."""

EN = {
    "pane_loading": "Looking up this message…",
    "pane_no_item": "Open a message",
    "pane_no_item_hint": "Its conversation shows here, with what it is linked to and why.",
    "pane_compose": "Nothing to show while you write",
    "pane_compose_hint": "Open a message that arrived or was sent.",
    "pane_blocked": "Outlook does not answer",
    "pane_blocked_hint": "The script of Outlook did not load. Close the pane and open it again; if that does not"
    " help, ask your administrator whether it is blocked.",
    "pane_sign_in": "Sign in",
    "pane_sign_in_hint": "Microsoft asks who you are before threadlink shows anything.",
    "pane_not_signed_in": "Microsoft did not sign you in. If no window opened, allow Outlook to open one.",
    "pane_not_let_in": "threadlink does not take this sign-in",
    "pane_not_let_in_hint": "It is set up for other organizations. Ask your administrator.",
    "pane_offline": "threadlink cannot be reached now. Try again in a moment.",
    "pane_not_yours": "There is nothing here that you may see.",
    "pane_signing_in": "Signing in…",
    "pane_linked_many": "Conversations linked: {n}.",
    "pane_left": "The pane no longer acts for you here.",
    "pane_connect_title": "Use the Outlook pane",
    "pane_connect_question": "The Outlook pane in {address} will act for you: {member} of {team}.",
}

TR = {
    "pane_loading": "Mesaj aranıyor…",
    "pane_no_item": "Bir mesaj açın",
    "pane_no_item_hint": "Konuşması, neye ve neden bağlı olduğuyla birlikte burada görünür.",
    "pane_compose": "Yazarken gösterilecek bir şey yok",
    "pane_compose_hint": "Gelen veya gönderilen bir mesajı açın.",
    "pane_blocked": "Outlook yanıt vermiyor",
    "pane_blocked_hint": "Outlook'un betiği yüklenmedi. Bölmeyi kapatıp yeniden açın; sorun sürerse engellenip"
    " engellenmediğini yöneticinize sorun.",
    "pane_sign_in": "Oturum aç",
    "pane_sign_in_hint": "threadlink bir şey göstermeden önce Microsoft kim olduğunuzu sorar.",
    "pane_not_signed_in": "Microsoft oturumunuzu açmadı. Pencere açılmadıysa Outlook'un pencere açmasına izin verin.",
    "pane_not_let_in": "threadlink bu oturumu kabul etmiyor",
    "pane_not_let_in_hint": "Başka kuruluşlar için ayarlanmış. Yöneticinize sorun.",
    "pane_offline": "threadlink'e şu anda ulaşılamıyor. Biraz sonra yeniden deneyin.",
    "pane_not_yours": "Burada görebileceğiniz bir şey yok.",
    "pane_signing_in": "Oturum açılıyor…",
    "pane_linked_many": "{n} konuşma bağlandı.",
    "pane_left": "Bölme artık burada sizin adınıza işlem yapmıyor.",
    "pane_connect_title": "Outlook bölmesini kullan",
    "pane_connect_question": "{address} kutusundaki Outlook bölmesi sizin adınıza işlem yapacak: {member}, {team}.",
}
