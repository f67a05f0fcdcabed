"""What a node does with events: take a batch, work on it, hand it to the next link, and only then let go of it."""
