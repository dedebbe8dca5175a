"""HTTP in, calls above, HTTP out: webhooks, connecting a mailbox, health. No decision lives here."""
