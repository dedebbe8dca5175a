"""What stands around every page of a member: navigation, and what the last choice did."""

EN = {
    "skip": "Skip to the content",
    "pages": "Pages",
    "undo": "Undo",
    "done_linked": "Linked.",
    "done_unlinked": "Unlinked.",
    "done_dismissed": "Taken out of the list.",
    "done_undone": "Taken back.",
    "done_accepted": "{n} conversations linked.",
    "done_declined": "The offer is gone.",
    "done_bulk": "{n} conversations linked.",
    "done_left": "{n} were left as they are.",
    "done_auto_on": "Automatic linking is on for new mail.",
    "done_auto_off": "Automatic linking is off.",
}

TR = {
    "skip": "İçeriğe geç",
    "pages": "Sayfalar",
    "undo": "Geri al",
    "done_linked": "Bağlandı.",
    "done_unlinked": "Bağlantı kaldırıldı.",
    "done_dismissed": "Listeden çıkarıldı.",
    "done_undone": "Geri alındı.",
    "done_accepted": "{n} konuşma bağlandı.",
    "done_declined": "Öneri kaldırıldı.",
    "done_bulk": "{n} konuşma bağlandı.",
    "done_left": "{n} konuşma olduğu gibi bırakıldı.",
    "done_auto_on": "Yeni e-postalar için otomatik bağlama açık.",
    "done_auto_off": "Otomatik bağlama kapatıldı.",
}
