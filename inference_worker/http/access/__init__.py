"""Who may do what: the role that each operation requires, and the check of the keys."""
