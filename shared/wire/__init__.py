"""Contracts to protobuf and back."""
