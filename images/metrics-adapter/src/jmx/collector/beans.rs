//! The beans of a JVM as far as they are known.

mod places;

use std::collections::HashMap;
use std::time::Instant;

use places::Places;

use crate::jmx::session::{Session, SessionError, Wanted};
use crate::jmx::{AttributeInfo, ObjectName, Value};
use crate::rules::Selection;

/// Of so many beans, one is asked anew for its attributes at every scrape.
const REFRESH_SHARE: u64 = 200;

/// Most beans that gave no attributes and are asked once more at a scrape: each may cost a connection.
const RETRIES_MAX: usize = 20;

/// Most memory of the attributes of all beans.
const INFOS_BYTES_MAX: usize = 256 << 20;

/// What a bean's attributes are given to.
pub(super) type Each<'a> = dyn FnMut(&ObjectName, &[(&AttributeInfo, &Value)]) + 'a;

/// Known beans, and those of the current scrape in the order of the server.
#[derive(Debug, Default)]
pub(super) struct Beans {
    known: HashMap<ObjectName, Bean>,
    names: Vec<ObjectName>,
    scrape: u64,
}

#[derive(Debug)]
struct Bean {
    infos: Vec<AttributeInfo>,
    /// Names of the wanted ones of `infos`, and where they are.
    wanted: Vec<String>,
    places: Vec<usize>,
    /// Memory of `infos`, about.
    bytes: usize,
    /// Scrape in which it was last listed.
    listed: u64,
    /// Scrape in which its attributes are to be asked for again.
    due: u64,
    /// How often in a row they could not be had.
    failures: u32,
    /// Attributes in its last answer; another number means that it may be another bean.
    answered: Option<usize>,
    stale: bool,
}

/// What an answer says of its bean.
#[derive(Debug, Default)]
struct Answered {
    /// Attributes in it.
    count: usize,
    /// Some of them are of no use and will not be asked for again.
    learnt: bool,
}

// === impl Beans ===

impl Beans {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.names.clear();
    }

    /// Asks for names, and for the attributes of beans that are new or due.
    pub(super) fn renew(
        &mut self,
        session: &mut Session,
        queries: &[Option<ObjectName>],
        selection: &mut Selection,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        // All or nothing: what one query found is of no use while another has failed.
        let mut found = Vec::new();
        for query in queries {
            found.append(&mut session.names(query.as_ref(), deadline)?);
        }
        self.scrape += 1;
        let scrape = self.scrape;
        self.names.clear();
        let mut ask = Vec::new();
        for name in found {
            match self.known.get_mut(&name) {
                // Found by an earlier query, too.
                Some(bean) if bean.listed == scrape => continue,
                Some(bean) => bean.listed = scrape,
                None if selection.wants_bean(&name) => {
                    self.known.insert(name.clone(), Bean::unknown(scrape));
                    ask.push(name.clone());
                }
                None => continue,
            }
            self.names.push(name);
        }
        let before = self.known.len();
        self.known.retain(|_, bean| bean.listed == scrape);
        if self.known.len() < before {
            selection.retain(&self.names);
        }
        // Those that are new come first: without them a scrape that fails would be no step forward.
        ask.append(&mut self.due());
        self.ask(session, &ask, selection, deadline)
    }

    /// Asks for the attributes of beans.
    fn ask(
        &mut self,
        session: &mut Session,
        ask: &[ObjectName],
        selection: &Selection,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        if ask.is_empty() {
            return Ok(());
        }
        let scrape = self.scrape;
        let mut bytes: usize = self.known.values().map(|bean| bean.bytes).sum();
        let mut names = ask.iter();
        let outcome = session.each_info(ask, deadline, &mut |infos| {
            let Some((name, bean)) =
                names.next().and_then(|name| Some((name, self.known.get_mut(name)?)))
            else {
                return;
            };
            bytes -= std::mem::take(&mut bean.bytes);
            bean.answered = None;
            bean.stale = false;
            let size = infos.as_ref().map_or(0, |infos| infos.iter().map(info_bytes).sum());
            match infos {
                Ok(infos) if bytes + size <= INFOS_BYTES_MAX => {
                    (bean.infos, bean.bytes, bean.failures) = (infos, size, 0);
                    bytes += size;
                    bean.due = scrape + REFRESH_SHARE;
                }
                // Sooner than usual at first.
                _ => {
                    bean.infos = Vec::new();
                    bean.due = scrape + (1 << bean.failures.min(16)).min(REFRESH_SHARE);
                    bean.failures += 1;
                }
            }
            bean.select(name, selection);
        });
        outcome.inspect_err(|_| {
            // Those without attributes would be taken for known.
            for name in names {
                if self.known.get(name).is_some_and(|bean| bean.due == Bean::NEVER) {
                    self.known.remove(name);
                }
            }
        })
    }

    /// Reads the values of all wanted attributes.
    pub(super) fn read(
        &mut self,
        session: &mut Session,
        selection: &mut Selection,
        deadline: Instant,
        each: &mut Each<'_>,
    ) -> Result<(), SessionError> {
        let mut beans = Vec::with_capacity(self.names.len());
        let mut wanted = Vec::with_capacity(self.names.len());
        for name in &self.names {
            if let Some(bean) = self.known.get(name).filter(|bean| !bean.wanted.is_empty()) {
                beans.push(bean);
                wanted.push(Wanted { name, attributes: &bean.wanted });
            }
        }
        let mut answered: Vec<Answered> = wanted.iter().map(|_| Answered::default()).collect();
        session.values(&wanted, deadline, &mut |index, answer| {
            let Ok(values) = answer else { return };
            let bean: &Bean = beans[index];
            let mut attributes = Vec::with_capacity(values.len().min(bean.wanted.len()));
            let mut places = Places::new(&bean.wanted);
            for (name, value) in &values {
                if let Some(place) = places.find(name) {
                    attributes.push((&bean.infos[bean.places[place]], value));
                }
            }
            let name = wanted[index].name;
            each(name, &attributes);
            let learnt = selection.learn(name, &attributes);
            answered[index] = Answered { count: values.len(), learnt };
        })?;
        let names: Vec<ObjectName> = wanted.iter().map(|bean| bean.name.clone()).collect();
        for (name, Answered { count, learnt }) in names.into_iter().zip(answered) {
            let Some(bean) = self.known.get_mut(&name) else { continue };
            // A bean that went and came back has other attributes, or none that answer.
            bean.stale = bean.answered.is_some_and(|before| before != count);
            bean.answered = Some(count);
            if learnt {
                bean.select(&name, selection);
                bean.answered = None;
            }
        }
        Ok(())
    }

    /// Those whose attributes are to be asked for again: all that answered oddly, and of the others
    /// some that have waited longest.
    fn due(&self) -> Vec<ObjectName> {
        let mut refresh = self.known.len() / REFRESH_SHARE as usize + 1;
        let mut retries = RETRIES_MAX;
        let mut due: Vec<(bool, u64, &ObjectName)> = self
            .known
            .iter()
            .filter(|(_, bean)| bean.stale || bean.due <= self.scrape)
            .map(|(name, bean)| (bean.stale, bean.due, name))
            .collect();
        due.sort_unstable_by_key(|(stale, due, _)| (!stale, *due));
        due.retain(|(stale, _, name)| {
            let failed = self.known.get(*name).is_some_and(|bean| bean.failures > 0);
            let left = if failed { &mut retries } else { &mut refresh };
            let take = *stale || *left > 0;
            *left = left.saturating_sub(usize::from(!stale));
            take
        });
        due.into_iter().map(|(.., name)| name.clone()).collect()
    }
}

/// Memory of what a bean says of an attribute, about.
fn info_bytes(info: &AttributeInfo) -> usize {
    size_of::<AttributeInfo>() + info.name.len() + info.declared.len() + info.description.len()
}

// === impl Bean ===

impl Bean {
    /// Its attributes have not been asked for yet, and are about to be.
    const NEVER: u64 = u64::MAX;

    fn unknown(scrape: u64) -> Self {
        Self {
            infos: Vec::new(),
            wanted: Vec::new(),
            places: Vec::new(),
            bytes: 0,
            listed: scrape,
            due: Self::NEVER,
            failures: 0,
            answered: None,
            stale: false,
        }
    }

    fn select(&mut self, name: &ObjectName, selection: &Selection) {
        self.wanted.clear();
        self.places.clear();
        for (place, info) in self.infos.iter().enumerate() {
            if selection.wants_attribute(name, info) {
                self.wanted.push(info.name.clone());
                self.places.push(place);
            }
        }
    }
}
