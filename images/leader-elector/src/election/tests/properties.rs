//! What holds whatever is asked in whatever order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A few names and numbers, so that commands meet. A session belongs to one election, as it is a
/// number that somebody drew for it.
fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![any_command_of("e", 0), any_command_of("f", 12)]
}

fn any_command_of(election: &'static str, first: u64) -> impl Strategy<Value = Command> {
    let election = move || Just(election).prop_map(Arc::<str>::from);
    let holder = || (0u8..4).prop_map(|it| Arc::<str>::from(format!("h{it}")));
    let session = move || (first..first + 12).prop_map(Session);
    let acquire =
        (election(), holder(), session(), -1i64..2, any::<bool>(), prop::option::of(0u8..3));
    let acquire = acquire.prop_map(|(election, holder, session, priority, wait, request)| {
        Command::Acquire(Acquire {
            election,
            holder,
            session,
            ttl: Duration::from_millis(1_500),
            priority,
            wait,
            metadata: None,
            request_id: request.map(|it| format!("r{it}").into()),
        })
    });
    let renew = (election(), session(), 0u64..20)
        .prop_map(|(election, session, token)| Command::Renew { election, session, token });
    let resign = (election(), session(), prop::option::of(holder())).prop_map(
        |(election, session, successor)| Command::Resign { election, session, token: 0, successor },
    );
    let expire = (election(), session(), 0u64..20, 0u64..4).prop_map(
        |(election, session, token, sequence)| Command::Expire {
            election,
            session,
            token,
            sequence,
        },
    );
    let init = (0u64..30).prop_map(|token_base| Command::Init { token_base });
    prop_oneof![
        8 => acquire,
        4 => renew,
        3 => resign,
        4 => expire,
        1 => init,
    ]
}

fn any_log() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec(any_command(), 0..120)
}

/// Checks what must hold between two states of the table.
struct Observer {
    token_last: u64,
    versions: [u64; 2],
    ended: BTreeSet<Session>,
    granted: BTreeSet<Session>,
}

// === impl Observer ===

impl Observer {
    fn look(&mut self, table: &Table, changes: &[Change]) {
        for change in changes {
            if let Some(lease) = &change.lease {
                assert!(lease.token > self.token_last, "tokens grow");
                self.token_last = lease.token;
                assert!(!self.ended.contains(&lease.session), "what has ended never leads again");
                assert!(self.granted.insert(lease.session) || !self.ended.contains(&lease.session));
            }
        }
        for (place, name) in ["e", "f"].into_iter().enumerate() {
            let version = table.version(name);
            assert!(version >= self.versions[place], "versions never go back");
            self.versions[place] = version;
            let Some(election) = table.election(name) else { continue };
            assert!(
                election.held.is_some() || election.queue.is_empty(),
                "nobody waits for nothing"
            );
            let mut sessions: Vec<Session> =
                election.queue.iter().map(|waiting| waiting.acquire.session).collect();
            sessions.extend(election.held.iter().map(|held| held.lease.session));
            let count = sessions.len();
            sessions.sort_unstable();
            sessions.dedup();
            assert_eq!(sessions.len(), count, "a session stands in one place");
            let mut order = election.queue.iter().map(|waiting| -waiting.acquire.priority);
            let mut before = i64::MIN;
            assert!(order.all(|it| std::mem::replace(&mut before, it) <= it), "by priority");
        }
        self.ended.extend(table.ended.iter());
        for election in table.elections.values() {
            let held = election.held.iter().map(|held| held.lease.session);
            let waiting = election.queue.iter().map(|waiting| waiting.acquire.session);
            let gone = held.chain(waiting).find(|session| self.ended.contains(session));
            assert_eq!(gone, None, "what has ended neither holds nor waits");
        }
    }
}

proptest! {
    #[test]
    fn promises_hold_for_any_log(log in any_log()) {
        let mut rig = Rig::default();
        let mut observer = Observer {
            token_last: 0,
            versions: [0; 2],
            ended: BTreeSet::new(),
            granted: BTreeSet::new(),
        };
        for command in log {
            rig.changes.clear();
            rig.apply(command);
            observer.look(&rig.table, &rig.changes);
        }
    }

    /// Members that start from a snapshot anywhere in the log come to the same table.
    #[test]
    fn equal_logs_give_equal_tables(log in any_log(), cut in 0usize..120) {
        let mut whole = Rig::default();
        let mut late = Rig::default();
        for (number, command) in log.into_iter().enumerate() {
            if number == cut {
                let bytes = whole.table.to_bytes();
                late.table = Table::from_bytes(&bytes).unwrap();
                prop_assert_eq!(&late.table, &whole.table);
                prop_assert_eq!(late.table.to_bytes(), bytes);
            }
            let outcome = whole.apply(command.clone());
            late.index = whole.index - 1;
            if number >= cut {
                prop_assert_eq!(late.apply(command), outcome);
            }
        }
        if cut < whole.index as usize {
            prop_assert_eq!(late.table, whole.table);
        }
    }

    /// A command that is delivered again at once may be a further sign of life, and nothing else.
    #[test]
    fn commands_delivered_twice_do_no_harm(log in any_log()) {
        let mut once = Rig::default();
        let mut twice = Rig::default();
        for command in log {
            once.apply(command.clone());
            twice.index = once.index - 1;
            twice.apply(command.clone());
            let changes = twice.changes.len();
            twice.index = once.index - 1;
            twice.apply(command);
            prop_assert_eq!(twice.changes.len(), changes, "a second change");
            once.index = twice.index;
        }
    }

    #[test]
    fn commands_are_read_as_written(command in any_command()) {
        let mut writer = Writer::default();
        command.write(&mut writer);
        let mut reader = Reader::new(&writer.bytes);
        prop_assert_eq!(Command::read(&mut reader), Ok(command));
        prop_assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Table::from_bytes(&bytes);
        let _ = Command::read(&mut Reader::new(&bytes));
    }
}
