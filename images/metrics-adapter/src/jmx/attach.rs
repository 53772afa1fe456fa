//! Attach mode: the JMX agent of a JVM in the same process namespace, which was started without any
//! flag for it.
