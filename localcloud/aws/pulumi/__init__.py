"""A stand-in for Pulumi's `aws` plugin, for the resource types that the embedded stack uses.

`provider` speaks the engine's protocol, `resource` says what a type must offer, one file per family of types does it.
What pulumi-aws itself does was taken from its behaviour on the wire; a person must compare the two against real AWS
before trusting that a program which works here works there.
"""
