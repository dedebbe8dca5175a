"""What the pages of signing in and out say."""

EN = {
    "sign_in_title": "Sign in",
    "sign_in": "Sign in",
    "sign_in_as": "You are about to sign in as {member} of {team}.",
    "sign_in_how": "Ask your administrator for a one-time link, or make one on the machine that runs threadlink:",
    "sign_out": "Sign out",
}

TR = {
    "sign_in_title": "Oturum açın",
    "sign_in": "Oturum aç",
    "sign_in_as": "{team} ekibinden {member} olarak oturum açmak üzeresiniz.",
    "sign_in_how": "Yöneticinizden tek kullanımlık bir bağlantı isteyin ya da threadlink'in çalıştığı makinede"
    " oluşturun:",
    "sign_out": "Oturumu kapat",
}
