//! What this sidecar holds, and until when: the only place that says "leader".
//!
//! The deadline of a lease counts from before the last confirmed sign of life was sent
//! ([`crate::backend::Grant::since`]), times 0.9 of the time to live: others take a lease for over
//! only a whole time to live after they saw that sign, so clocks may differ in rate by 5 %.
