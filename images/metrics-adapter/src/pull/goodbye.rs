//! The end of all connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::debug;

use super::Pulled;

/// Most goodbyes at the same time.
const GOODBYES_MAX: usize = 32;
/// Longest that all goodbyes together may take.
const GOODBYES_END: Duration = Duration::from_secs(2);

/// Ends the connections of inputs, many at a time. Blocks for as long as goodbyes may take, and no
/// longer than two seconds.
pub fn close(inputs: &[Arc<Pulled>]) {
    let goodbyes: Vec<_> = inputs.iter().filter_map(|pulled| pulled.source.goodbye()).collect();
    let threads = goodbyes.len().min(GOODBYES_MAX);
    let goodbyes = Arc::new(Mutex::new(goodbyes));
    let (said, all) = std::sync::mpsc::channel::<()>();
    for _ in 0..threads {
        let (goodbyes, said) = (Arc::clone(&goodbyes), said.clone());
        let next = move || goodbyes.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let thread = std::thread::Builder::new().name("goodbye".to_owned());
        let thread = thread.spawn(move || {
            let _said = said;
            while let Some(goodbye) = next() {
                goodbye();
            }
        });
        if let Err(error) = thread {
            debug!(%error, "no thread for goodbyes");
        }
    }
    drop(said);
    // Nothing is ever sent: it ends with the last thread, or when the time is up.
    let _ = all.recv_timeout(GOODBYES_END);
}
