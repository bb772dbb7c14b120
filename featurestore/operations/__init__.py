"""What composes compute and drift for the client: each module a verb of the store, or what several verbs share."""
