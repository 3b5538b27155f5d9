"""A web page that predicts in the browser, without a server: networks, decision and shampoos as static files."""
