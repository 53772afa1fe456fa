//! What every backend promises, as one suite of cases over any place where leases live.

pub(crate) mod failures;
pub(crate) mod leases;
pub(crate) mod queue;
pub(crate) mod views;

use std::sync::Arc;
use std::time::Duration;

use leader_elector::Boottime;
use leader_elector::backend::{Acquire, Backend, Failure, Grant, Session};
use tokio::time::{sleep, timeout};

/// Longest time of a case; only a failing one takes that long.
const CASE_MAX: Duration = Duration::from_secs(60);
/// Pause between two looks at a condition.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The shortest time to live there is, for leases that are to run out.
pub(crate) const SHORT: Duration = Duration::from_secs(1);
/// For leases that are to last through a case.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// For waits that are to succeed.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);

/// A place where leases live, with two sidecars of one group before it.
pub(crate) trait Place: Sized {
    /// Starts it, fresh.
    async fn start() -> Self;

    /// The two sidecars.
    fn sidecars(&self) -> [Arc<dyn Backend>; 2];

    /// What it can do.
    fn features(&self) -> Features {
        Features { queue: true, outage: true }
    }

    /// How many wait for an election, where that can be seen.
    async fn waiting(&self, election: &str) -> Option<usize>;

    /// Cuts the sidecars off from where leases live, or joins them again.
    async fn cut(&mut self, off: bool);
}

/// What a place can do beyond what all can.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    /// Whether candidates are served in turn, and a lease can be handed to one of them.
    pub(crate) queue: bool,
    /// Whether it can be cut off.
    pub(crate) outage: bool,
}

/// Every case, as a test of this place.
macro_rules! conformance {
    ($place:ty) => {
        $crate::conformance::conformance!(@ $place:
            leases: exclusivity tokens_grow renewals_keep_a_lease a_lease_runs_out_on_time
                a_resignation_frees_at_once a_session_is_resumed_elsewhere
                a_request_sent_again_finds_its_lease a_lost_lease_stays_lost a_name_led_twice
                many_elections;
            queue: who_waits_is_granted_what_is_resigned who_waits_is_granted_what_runs_out
                who_stops_waiting_is_granted_nothing waiting_ends_in_time the_first_goes_first
                a_successor_is_chosen priority_goes_before_patience;
            views: reads_see_writes a_watch_never_goes_back elections_are_listed;
            failures: an_outage_is_told_and_survived a_lease_survives_a_short_outage;
        );
    };
    (@ $place:ty: $($module:ident: $($case:ident)*;)*) => {
        $($(
            #[test]
            fn $case() {
                $crate::conformance::run::<$place>(async |place| {
                    $crate::conformance::$module::$case(place).await;
                });
            }
        )*)*
    };
}
pub(crate) use conformance;

/// Runs a case at a fresh place.
pub(crate) fn run<P: Place>(case: impl AsyncFnOnce(&mut P)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut place = P::start().await;
        timeout(CASE_MAX, case(&mut place)).await.expect("the case ends in time");
    });
}

// === what cases are made of ===

/// A candidacy.
pub(crate) fn asks(election: &str, holder: &str, session: u64) -> Acquire {
    Acquire {
        election: election.into(),
        holder: holder.into(),
        session: Session(session),
        ttl: LONG,
        priority: 0,
        wait: false,
        metadata: None,
        request_id: None,
    }
}

/// Takes an election, without waiting.
pub(crate) async fn take(backend: &Arc<dyn Backend>, acquire: Acquire) -> Result<Grant, Failure> {
    backend.acquire(acquire, Duration::ZERO).await
}

pub(crate) async fn renew(
    backend: &Arc<dyn Backend>,
    election: &str,
    grant: &Grant,
) -> Result<Grant, Failure> {
    backend.renew(&election.into(), grant.lease.session, grant.lease.token).await
}

pub(crate) async fn resign(
    backend: &Arc<dyn Backend>,
    election: &str,
    grant: &Grant,
) -> Result<(), Failure> {
    backend.resign(&election.into(), grant.lease.session, grant.lease.token, None).await
}

/// A request that goes on beside the case; it ends when this is dropped.
pub(crate) struct Beside<T>(tokio::task::JoinSet<T>);

impl<T: Send + 'static> Beside<T> {
    pub(crate) fn start(future: impl Future<Output = T> + Send + 'static) -> Self {
        let mut set = tokio::task::JoinSet::new();
        set.spawn(future);
        Self(set)
    }

    pub(crate) async fn end(mut self) -> T {
        self.0.join_next().await.unwrap().unwrap()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_join_next().is_some()
    }
}

/// Waits for an election, beside the case.
pub(crate) fn waits(
    backend: &Arc<dyn Backend>,
    acquire: Acquire,
) -> Beside<Result<Grant, Failure>> {
    let backend = Arc::clone(backend);
    Beside::start(async move { backend.acquire(acquire, PATIENT).await })
}

/// Waits until that many stand in the queue of an election, if that can be seen.
pub(crate) async fn until_waiting<P: Place>(place: &P, election: &str, count: usize) {
    until("they wait", async || place.waiting(election).await.is_none_or(|it| it == count)).await;
}

/// Looks until a condition holds; the time limit is that of the case.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Boottime::now();
    while !holds().await {
        assert!(Boottime::now().since(started) < PATIENT, "{what}: not in time");
        sleep(LOOK_EVERY).await;
    }
}
