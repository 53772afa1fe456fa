//! Values of many beans: all attributes of a bean in one call, one by one where that fails.

use std::borrow::Cow;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::java::{push_null, push_object_name, push_string, push_strings};

use super::budget::{Budget, Spent};
use super::lane::{Calls, Lane, Stopped};
use super::{Answer, Session, SessionError, Value, Wanted, convert, login, methods};

/// The bean is gone: asking for its attributes one by one is of no use.
const GONE: &str = "javax.management.InstanceNotFoundException";

/// Most streams that values are read over at a time.
const LANES_MAX: usize = 4;

/// How long a further stream may take to be there.
const LANE_TIMEOUT: Duration = Duration::from_secs(1);

/// Most memory of values that a further stream holds back until it is their turn; what is beyond is
/// read again.
const HELD_BYTES_MAX: usize = 32 << 20;

/// Beans that are worth a stream of their own.
const LANE_BEANS: usize = 250;

/// Beans to be read with one call each: index, and the attributes to ask for.
type AtOnce<'a> = [(usize, Cow<'a, [String]>)];

/// What came of such a call.
enum Outcome {
    Answer(Answer),
    /// An exception, for more than being gone; or it is too much at once.
    Threw,
}

impl Session {
    pub(super) fn read_values(
        &mut self,
        wanted: &[Wanted<'_>],
        deadline: Instant,
        each: &mut dyn FnMut(usize, Answer),
    ) -> Result<(), SessionError> {
        let memory = &self.memory;
        let mut singly: Vec<usize> = Vec::new();
        let mut at_once: Vec<(usize, Cow<'_, [String]>)> = Vec::with_capacity(wanted.len());
        for (index, bean) in wanted.iter().enumerate() {
            if !memory.knows(bean.name) {
                at_once.push((index, Cow::Borrowed(bean.attributes)));
            } else if memory.singly(bean.name) {
                singly.push(index);
            } else {
                let allowed = |attribute: &&String| memory.allows(bean.name, attribute);
                let left = bean.attributes.iter().filter(allowed).cloned().collect();
                at_once.push((index, Cow::Owned(left)));
            }
        }
        let mut threw = Vec::new();
        let read = self.beans(wanted, &at_once, &mut singly, &mut threw, deadline, each);
        // Whatever comes of this pass, the next one is to know.
        for index in threw {
            self.memory.ask_singly(wanted[index].name);
            singly.push(index);
        }
        read?;
        if !singly.is_empty() {
            self.attributes(wanted, &singly, deadline, each)?;
        }
        Ok(())
    }

    /// Reads beans with one call each, over several streams where there are many; `singly` gets
    /// those that it broke off for, `threw` those that refused.
    fn beans(
        &mut self,
        wanted: &[Wanted<'_>],
        at_once: &AtOnce<'_>,
        singly: &mut Vec<usize>,
        threw: &mut Vec<usize>,
        deadline: Instant,
        each: &mut dyn FnMut(usize, Answer),
    ) -> Result<(), SessionError> {
        let mut take = |place: usize, outcome| match outcome {
            Outcome::Answer(answer) => each(at_once[place].0, answer),
            Outcome::Threw => threw.push(at_once[place].0),
        };
        let mut lanes = self.lanes(at_once.len(), deadline);
        let share = at_once.len().div_ceil(lanes.len() + 1);
        let part = |number: usize| {
            (number * share).min(at_once.len())..((number + 1) * share).min(at_once.len())
        };
        let (first, shares) = std::thread::scope(|scope| {
            let threads: Vec<_> = lanes
                .iter_mut()
                .enumerate()
                .map(|(number, lane)| {
                    let range = part(number + 1);
                    let work = move || read_share(lane, wanted, at_once, range, deadline);
                    std::thread::Builder::new()
                        .name("jmx-lane".to_owned())
                        .spawn_scoped(scope, work)
                })
                .collect();
            let first = self.pass(wanted, at_once, part(0), singly, deadline, &mut take);
            let join =
                |thread: std::io::Result<std::thread::ScopedJoinHandle<'_, Vec<Outcome>>>| {
                    thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
                };
            (first, threads.into_iter().map(join).collect::<Vec<_>>())
        });
        lanes.retain(|lane| !lane.broken && lane.object == self.lane.object);
        first?;
        for (number, outcomes) in shares.into_iter().enumerate() {
            let mut range = part(number + 1);
            self.pass.progress |= !outcomes.is_empty();
            for outcome in outcomes {
                take(range.start, outcome);
                range.start += 1;
            }
            // Whatever ended the stream: here it is dealt with.
            self.pass(wanted, at_once, range, singly, deadline, &mut take)?;
        }
        lanes.retain(|lane| lane.object == self.lane.object);
        self.more = lanes;
        Ok(())
    }

    /// Streams besides the first for so many beans. One that cannot be had is done without.
    fn lanes(&mut self, beans: usize, deadline: Instant) -> Vec<Lane> {
        let count = (beans / LANE_BEANS).clamp(1, LANES_MAX) - 1;
        let mut lanes = std::mem::take(&mut self.more);
        while lanes.len() < count && !self.lone {
            // A server may take no more connections and let them wait.
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let patience = now + LANE_TIMEOUT.min(left / 4);
            match login::again(&self.target, &mut self.lane, patience) {
                Ok(lane) => lanes.push(lane),
                Err(_) => self.lone = true,
            }
        }
        lanes.truncate(count);
        lanes
    }

    /// Reads beans over the first stream, however often it must be made anew.
    fn pass(
        &mut self,
        wanted: &[Wanted<'_>],
        at_once: &AtOnce<'_>,
        range: Range<usize>,
        singly: &mut Vec<usize>,
        deadline: Instant,
        take: &mut dyn FnMut(usize, Outcome),
    ) -> Result<(), SessionError> {
        let Range { start: mut done, end } = range;
        while done < end {
            let from = done;
            let outcome =
                read(&mut self.lane, wanted, at_once, from..end, deadline, &mut |outcome, _| {
                    take(done, outcome);
                    done += 1;
                });
            let progress = done > from;
            let at = done;
            match &outcome {
                Err(Stopped::Aborted(_)) => self.memory.suspect(wanted[at_once[at].0].name),
                Err(Stopped::Astray(_)) if progress => {
                    self.memory.suspect(wanted[at_once[at - 1].0].name);
                }
                _ => {}
            }
            let aborted = matches!(outcome, Err(Stopped::Aborted(_)));
            self.go_on(outcome, progress, deadline, |error| {
                if aborted {
                    singly.push(at_once[at].0);
                } else {
                    // Each of its attributes may end the connection, too.
                    take(at, Outcome::Answer(Err(error)));
                }
                done += 1;
            })?;
        }
        Ok(())
    }

    /// Reads beans with one call per attribute.
    fn attributes(
        &mut self,
        wanted: &[Wanted<'_>],
        singly: &[usize],
        deadline: Instant,
        each: &mut dyn FnMut(usize, Answer),
    ) -> Result<(), SessionError> {
        let mut pairs: Vec<(usize, &str)> = Vec::new();
        for (at, index) in singly.iter().enumerate() {
            let bean = &wanted[*index];
            let allowed = |attribute: &&String| self.memory.allows(bean.name, attribute);
            let allowed = bean.attributes.iter().filter(allowed);
            pairs.extend(allowed.map(|attribute| (at, attribute.as_str())));
        }
        let mut send = |place: usize, out: &mut Vec<u8>| {
            let (at, attribute): (usize, &str) = pairs[place];
            push_object_name(wanted[singly[at]].name.as_str(), out);
            push_string(attribute, out);
            push_null(out);
        };
        let mut gathered = Gathered::new(singly, each);
        let mut settled = 0;
        let mut done = 0;
        while done < pairs.len() {
            let from = done;
            let calls = Calls {
                method: methods::GET_ATTRIBUTE,
                range: from..pairs.len(),
                size: &|place| {
                    let (at, attribute) = pairs[place];
                    wanted[singly[at]].name.as_str().len() + attribute.len()
                },
                send: &mut send,
            };
            let outcome = self.lane.pipeline(calls, deadline, &mut |place, graph, result| {
                done = place + 1;
                let (at, attribute) = pairs[place];
                gathered.proceed(at);
                match result {
                    Ok(root) => {
                        let name = wanted[singly[at]].name.as_str().len() + attribute.len();
                        let value = convert::value_within(graph, root, name, &mut gathered.budget);
                        gathered.push(attribute, value);
                    }
                    Err(thrown) => {
                        let (class, message) = graph.throwable(thrown);
                        if class == GONE {
                            gathered.answer = Err(SessionError::Remote { class, message });
                        }
                    }
                }
            });
            let progress = done > from;
            let to_blame = match &outcome {
                Err(Stopped::Aborted(_)) => Some(done),
                Err(Stopped::Astray(_)) if progress => Some(done - 1),
                _ => None,
            };
            if let Some((at, attribute)) = to_blame.and_then(|place| pairs.get(place)) {
                self.memory.refuse(wanted[singly[*at]].name, attribute);
            }
            for index in &singly[settled..gathered.at] {
                self.memory.settle(wanted[*index].name);
            }
            settled = gathered.at;
            self.go_on(outcome, progress, deadline, |_| done += 1)?;
        }
        gathered.proceed(singly.len());
        for index in &singly[settled..] {
            self.memory.settle(wanted[*index].name);
        }
        Ok(())
    }
}

/// Values that came one by one, put together bean by bean.
struct Gathered<'a> {
    singly: &'a [usize],
    each: &'a mut dyn FnMut(usize, Answer),
    /// The bean whose values come, as a place in `singly`.
    at: usize,
    answer: Answer,
    /// For all values of the bean together.
    budget: Budget,
}

// === impl Gathered ===

impl<'a> Gathered<'a> {
    fn new(singly: &'a [usize], each: &'a mut dyn FnMut(usize, Answer)) -> Self {
        Self { singly, each, at: 0, answer: Ok(Vec::new()), budget: Budget::reply() }
    }

    /// On to a bean further on; those before it are complete.
    fn proceed(&mut self, at: usize) {
        while self.at < at {
            let answer = std::mem::replace(&mut self.answer, Ok(Vec::new()));
            (self.each)(self.singly[self.at], answer);
            self.at += 1;
            self.budget = Budget::reply();
        }
    }

    fn push(&mut self, attribute: &str, value: Value) {
        if let Ok(values) = &mut self.answer {
            values.push((attribute.to_owned(), value));
        }
    }
}

/// Outcomes from the first on, as far as the stream goes.
fn read_share(
    lane: &mut Lane,
    wanted: &[Wanted<'_>],
    at_once: &AtOnce<'_>,
    range: Range<usize>,
    deadline: Instant,
) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(range.len());
    let mut held = 0;
    // What is missing in the end is read again by who knows what to do.
    let _ = read(lane, wanted, at_once, range, deadline, &mut |outcome, bytes| {
        held += bytes;
        if held <= HELD_BYTES_MAX {
            outcomes.push(outcome);
        }
    });
    outcomes
}

fn read(
    lane: &mut Lane,
    wanted: &[Wanted<'_>],
    at_once: &AtOnce<'_>,
    range: Range<usize>,
    deadline: Instant,
    each: &mut dyn FnMut(Outcome, usize),
) -> Result<(), Stopped> {
    let calls = Calls {
        method: methods::GET_ATTRIBUTES,
        range,
        size: &|place| size(&wanted[at_once[place].0]),
        send: &mut |place, out| {
            let (index, attributes) = &at_once[place];
            push_object_name(wanted[*index].name.as_str(), out);
            push_strings(attributes, out);
            push_null(out);
        },
    };
    lane.pipeline(calls, deadline, &mut |place, graph, result| {
        let mut budget = Budget::reply();
        let outcome = match result {
            Ok(root) => {
                let name = wanted[at_once[place].0].name.as_str().len();
                match convert::list(graph, root, name, &mut budget) {
                    Ok(values) => Outcome::Answer(Ok(values)),
                    Err(Spent) => Outcome::Threw,
                }
            }
            Err(thrown) => {
                let (class, message) = graph.throwable(thrown);
                if class == GONE {
                    Outcome::Answer(Err(SessionError::Remote { class, message }))
                } else {
                    Outcome::Threw
                }
            }
        };
        each(outcome, budget.memory_bytes());
    })
}

/// Bytes of the names in a call, about.
fn size(bean: &Wanted<'_>) -> usize {
    let attributes: usize = bean.attributes.iter().map(|name| name.len() + 3).sum();
    bean.name.as_str().len() + attributes
}
