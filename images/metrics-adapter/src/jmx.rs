//! Beans of a JVM: names, attributes, values, and the session that reads them over RMI (JSR 160).

pub mod attach;
pub mod collector;
pub mod object_name;
pub mod session;
pub mod url;
pub mod value;

pub use object_name::ObjectName;
pub use value::{AttributeInfo, Number, Value};
