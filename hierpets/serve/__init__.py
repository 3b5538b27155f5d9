"""The web page and the HTTP API: one bundle behind FastAPI. Needs the extra ``serve``."""
