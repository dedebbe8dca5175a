"""What the page of one conversation says, and a mail as it was sent."""

EN = {
    "original": "The original",
    "original_unreachable": "The mailbox does not answer at the moment.",
    "original_gone": "This message is no longer in the mailbox.",
    "original_too_large": "This message is too large to be shown here. Open it in the mailbox.",
    "original_no_access": "The mailbox no longer accepts our access. Its owner can connect it again.",
    "original_unsupported": "This mailbox shares headers only, or its mail is not kept there.",
    "original_empty": "This message has no text.",
    "original_trouble": "This could not be opened",
    "try_again": "Try again",
    "back_to_conversation": "Back to the conversation",
}

TR = {
    "original": "Özgün hali",
    "original_unreachable": "Posta kutusu şu anda yanıt vermiyor.",
    "original_gone": "Bu mesaj artık posta kutusunda yok.",
    "original_too_large": "Bu mesaj burada gösterilemeyecek kadar büyük. Posta kutusunda açın.",
    "original_no_access": "Posta kutusu erişimimizi artık kabul etmiyor. Sahibi yeniden bağlayabilir.",
    "original_unsupported": "Bu posta kutusu yalnızca başlıkları paylaşıyor ya da postası orada tutulmuyor.",
    "original_empty": "Bu mesajda metin yok.",
    "original_trouble": "Bu açılamadı",
    "try_again": "Yeniden dene",
    "back_to_conversation": "Konuşmaya dön",
}
