"""The engine `llama-cpp-python`: a small server of ours around `Llama`, with llama-server's wire shapes.

One request at a time and a bounded queue. Its own text loop instead of `create_chat_completion`, because that one
counts no usage in streams, evaluates before it knows that a prompt is too long, and cannot be stopped within a token.
"""
