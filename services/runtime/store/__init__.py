"""What a service with a database of its own stands on: the database, facts read from topics, the outbox."""
