//! The beans of a JVM as far as they are known.

use std::collections::HashMap;
use std::time::Instant;

use crate::jmx::session::{Session, SessionError, Wanted};
use crate::jmx::{AttributeInfo, ObjectName, Value};
use crate::rules::Selection;

/// Of so many beans, one is asked anew for its attributes at every scrape.
const REFRESH_SHARE: usize = 200;

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
    /// Scrapes in which it was last listed, and its attributes last asked for.
    listed: u64,
    asked: u64,
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
        self.scrape += 1;
        self.names.clear();
        let mut ask = Vec::new();
        for query in queries {
            for name in session.names(query.as_ref(), deadline)? {
                match self.known.get_mut(&name) {
                    // Found by an earlier query, too.
                    Some(bean) if bean.listed == self.scrape => continue,
                    Some(bean) => {
                        bean.listed = self.scrape;
                        if std::mem::take(&mut bean.stale) {
                            ask.push(name.clone());
                        }
                    }
                    None if selection.wants_bean(&name) => {
                        self.known.insert(name.clone(), Bean::unknown(self.scrape));
                        ask.push(name.clone());
                    }
                    None => continue,
                }
                self.names.push(name);
            }
        }
        let scrape = self.scrape;
        let before = self.known.len();
        self.known.retain(|_, bean| bean.listed == scrape);
        if self.known.len() < before {
            selection.retain(&self.names);
        }
        if ask.is_empty() {
            ask = self.oldest();
        }
        let infos = session.infos(&ask, deadline);
        let infos = infos.inspect_err(|_| {
            // Those without attributes would be taken for known.
            for name in &ask {
                self.known.remove(name);
            }
        })?;
        for (name, infos) in ask.into_iter().zip(infos) {
            if let Some(bean) = self.known.get_mut(&name) {
                // One that cannot be read has nothing to be asked for until it is due again.
                bean.infos = infos.unwrap_or_default();
                bean.asked = scrape;
                bean.answered = None;
                bean.select(&name, selection);
            }
        }
        Ok(())
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
            let mut attributes = Vec::with_capacity(values.len());
            let mut from = 0;
            for (name, value) in &values {
                // They come in the order asked for; who knows.
                let place = (from..bean.wanted.len()).chain(0..from);
                if let Some(place) = place.into_iter().find(|place| bean.wanted[*place] == *name) {
                    attributes.push((&bean.infos[bean.places[place]], value));
                    from = place + 1;
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

    /// Those whose attributes were asked for longest ago.
    fn oldest(&self) -> Vec<ObjectName> {
        let due = self.known.len() / REFRESH_SHARE + 1;
        // Asked for at this scrape or the one before: nothing can be due.
        let mut beans: Vec<(u64, &ObjectName)> = self
            .known
            .iter()
            .filter(|(_, bean)| bean.asked + (REFRESH_SHARE as u64) <= self.scrape)
            .map(|(name, bean)| (bean.asked, name))
            .collect();
        beans.sort_unstable_by_key(|(asked, _)| *asked);
        beans.into_iter().take(due).map(|(_, name)| name.clone()).collect()
    }
}

// === impl Bean ===

impl Bean {
    fn unknown(scrape: u64) -> Self {
        Self {
            infos: Vec::new(),
            wanted: Vec::new(),
            places: Vec::new(),
            listed: scrape,
            asked: scrape,
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
