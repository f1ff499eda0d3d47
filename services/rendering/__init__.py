"""The words that people read: why they are asked, mails, SMS. Pure: the notifier sends what the portal previews."""
