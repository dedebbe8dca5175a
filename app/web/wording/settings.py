"""What the page of the doctor says."""

EN = {
    "doctor": "Doctor",
    "doctor_ask": "Message-ID, sender or words of the subject",
    "doctor_nothing": "No such mail in your mailboxes. It may have been filtered, or has not arrived.",
    "doctor_findings": "What is not as it should be",
    "note_on": "Note on {item}:",
}

TR = {
    "doctor": "Tanılama",
    "doctor_ask": "Message-ID, gönderen veya konudan sözcükler",
    "doctor_nothing": "Kutularınızda böyle bir e-posta yok. Süzülmüş ya da henüz gelmemiş olabilir.",
    "doctor_findings": "Olması gerektiği gibi olmayanlar",
    "note_on": "{item} üzerindeki not:",
}
