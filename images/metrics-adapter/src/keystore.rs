//! Certificates and keys: PEM files, PKCS#12 and Java key stores, made into rustls configurations.
