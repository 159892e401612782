"""Where clients come in: MQTT over mutual TLS, the port with ALPN, WebSocket and HTTPS."""
