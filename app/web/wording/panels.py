"""What the panel of ours inside a CRM says."""

EN = {
    "panel_title": "Linked conversations",
    "panel_unknown": "threadlink does not know this record, or you may not see it. New records take a minute.",
    "panel_open": "Open in threadlink",
    "panel_stranger": "threadlink does not know yet which of its members you are.",
    "panel_say_who": "Say who you are",
    "panel_connect_title": "Use the panel in your CRM",
    "panel_connect_question": "Whoever is signed in to the CRM as {address} will act for you: {member} of {team}.",
    "panel_connect_yes": "Yes, that is me",
    "panel_connect_done": "The panel acts for you now. Close this window and reload the page of the CRM.",
}

TR = {
    "panel_title": "Bağlı konuşmalar",
    "panel_unknown": "threadlink bu kaydı tanımıyor ya da görme yetkiniz yok. Yeni kayıtlar bir dakikada gelir.",
    "panel_open": "threadlink'te aç",
    "panel_stranger": "threadlink hangi üye olduğunuzu henüz bilmiyor.",
    "panel_say_who": "Kim olduğunuzu belirtin",
    "panel_connect_title": "CRM'deki paneli kullan",
    "panel_connect_question": "CRM'de {address} olarak oturum açan kişi sizin adınıza işlem yapacak: {member}, {team}.",
    "panel_connect_yes": "Evet, benim",
    "panel_connect_done": "Panel artık sizin adınıza işlem yapıyor. Bu pencereyi kapatıp CRM sayfasını yenileyin.",
}
