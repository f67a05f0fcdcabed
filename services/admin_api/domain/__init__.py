"""Pure decisions of the admin API: plans, roles, status, the audit chain."""
