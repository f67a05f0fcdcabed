"""Pure decisions: what a group's stack holds, what drifted, who gets traffic."""
