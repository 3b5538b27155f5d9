"""The web app and the HTTP API: one bundle behind FastAPI. Needs the extra ``serve``."""
