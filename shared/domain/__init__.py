"""Types of the field that every part uses; standard library only."""
