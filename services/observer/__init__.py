"""The Observer: the source of truth for health, and the one place where activities are admitted."""
