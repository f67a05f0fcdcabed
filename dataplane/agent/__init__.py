"""The node agent: from a machine's user data to events flowing, and back out without losing one."""
