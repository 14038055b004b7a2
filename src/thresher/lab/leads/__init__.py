"""The page of leads: a store's ranked owners, their dossiers, what reviewers decide about them, and the pairs they judge."""
