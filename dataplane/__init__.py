"""What a node runs, and the client that balances over nodes."""
