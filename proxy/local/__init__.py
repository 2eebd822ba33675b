"""Models that Wayline runs itself: llama.cpp, a worker process for each model, on a private Unix socket.

To net/, the engine and health such a model is one more HTTP upstream: this package only makes sure that somebody
listens on the socket. With several Wayline processes (`--workers N`) each has its own worker for each model, since
a worker belongs to the process that started it and dies with it.

| module | is |
|---|---|
| `models.LocalModels` | the models of one backend: what the composition root makes, starts and closes |
| `place.LocalPlace` | one model as the engine sees it: idle, loading, ready, backoff, unavailable |
| `process`, `inside` | where it runs: a worker process, or (`isolation: none`) a thread of this one |
| `worker/` | what runs there: a small server of ours in front of either engine |
"""
