"""How good an answer looks, without a model: form only. Whether it is true, nothing here can tell."""
