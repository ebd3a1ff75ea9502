"""The only modules that import torch, vllm, transformers, sentence-transformers or aiohttp.

`base` holds the interfaces and imports nothing heavy; the rest of the project sees only those.
"""
