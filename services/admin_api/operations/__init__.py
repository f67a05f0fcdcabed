"""Load, decide, record, start: the verbs of the admin API over its ports."""
