"""The wire contract of the transform server; generated from `transform.proto`."""
