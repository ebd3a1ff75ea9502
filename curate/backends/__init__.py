"""The only modules that import torch, vllm, transformers, sentence-transformers or aiohttp.

`base` holds the interfaces and imports nothing heavy; the rest of the project sees only those.

A student is scored from texts (`pairs`) over tokens (`tokenizing`) to `scoring`, which runs it by
one of `packed_rows` (with `packing` and `trees`), `cached_branches` and `padded_batches`, and reads
what that leaves through `vocabulary`.
"""
