//! Jolokia: beans of a JVM over HTTP and JSON, through the rules of JMX.
