"""What runs where the model runs: a small HTTP server of ours on the private socket, in front of either engine.

`xllamacpp` could listen there by itself, but its server goes on generating for a client that has left, unless the
answer is streamed and its first token is out (seen with 2026.10; llama.cpp's issue 24496 tells of the same). Asked in
process, as a stream with progress, it can be stopped between any two tokens and between the batches of a prompt.
`llama-cpp-python` has no server in it at all. So one app serves both, with llama-server's wire shapes.
"""
