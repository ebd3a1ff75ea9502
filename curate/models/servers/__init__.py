"""Servers that speak OpenAI's protocol: where one is, and how patiently it is asked."""
