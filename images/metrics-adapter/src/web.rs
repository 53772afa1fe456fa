//! The page over HTTP: negotiation, compression, TLS, basic authentication, `/probe`.
