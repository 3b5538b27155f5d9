"""A page that answers photos in the browser, without a server: network, decision and shampoos as static files."""
