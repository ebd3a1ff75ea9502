"""The only modules that import torch, vllm, transformers, sentence-transformers or aiohttp.

`base` holds the interfaces and imports nothing heavy; the rest of the project sees only those.

A student is scored from texts (`pairs`, with `proofs`) over tokens (`tokenizing`) to `scoring`,
which runs it by one of `packed_rows` (with `packing` and `trees`), `cached_branches` and
`padded_batches`, and reads what that leaves through `vocabulary`; where vLLM serves it,
`served_scorer` stands in for `scoring`. Teachers are sampled by `vllm_engine` (with `vllm_setting`
and `bound`) or by `openai_server` (with `openai_protocol`). All servers are asked through
`patient_client`.
"""
