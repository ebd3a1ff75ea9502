"""A student reads texts: the likelihood of every token, computed once for what texts share.

From texts (`pairs`, with `proofs`) over tokens (`tokenizing`) to `scorer`, which runs the student
by one of `packed_rows` (with `packing` and `trees`), `cached_branches` and `padded_batches`, and
reads what that leaves through `vocabulary`; on several GPUs `sharded` does so, and where vLLM
serves the student, `served` stands in. `gradients` differentiates the loss of a text instead of
reading likelihoods off it, and `sketch` projects what that gives.
"""
