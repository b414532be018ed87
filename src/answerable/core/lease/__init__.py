"""A credential for one action or one window of a task: its terms, its states and its end."""
