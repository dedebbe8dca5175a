"""What is said when something did not work, by reason and by HTTP status."""

EN = {
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

TR = {
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
