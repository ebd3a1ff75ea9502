"""Teachers write: vLLM in this process, or any server that speaks OpenAI's protocol.

`base` says what sampling is, `options` how a teacher is reached, `open` opens one on first use.
"""
