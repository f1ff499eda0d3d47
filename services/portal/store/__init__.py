"""The portal's own database: facts from topics, answers, and what is to be published."""
