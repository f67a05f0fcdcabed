"""`make demo`: the main job end to end on the embedded stack, with real events, narrated with numbers.

It types the commands its users would type and looks at the world with its own eyes: the far receiver's ids, AWS
as boto3 sees it, the process table. It exits 0 only if every expected outcome was seen.
"""
