"""Stories for Plot & Palette: told by Anthropic's Messages API, or in its place by a local counterpart of that API.

- `emotions`: the fifteen emotions, the one list of them.
- `prompt`: the request's text, and the reading of an answer. Both sides of the protocol use it.
- `client`: `Storyteller`, which asks through the `anthropic` library.
- `counterpart`, `fable`: the local counterpart; on the standard library alone, so nothing is imported here.
"""
