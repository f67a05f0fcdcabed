"""The reference feature server: features of entities from the online store, passed through a transform group."""
