"""Everything that runs a model or asks a server: the only room that imports what does.

torch, vllm, transformers, sentence-transformers and aiohttp are imported here, where they are first
used; the other rooms see `references` (what a model is called, and where it lies), options and
interfaces. `rendering` words a text as a student reads it, for scoring and for export alike.
"""
