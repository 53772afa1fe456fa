//! One statsd line under dialects that the first byte chooses: no more samples than bytes, and
//! what may be repeated says the same when it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics_adapter::line::{self, Action, Dialects, Reason, Repeat, Sample, Sink, Tag};

#[derive(Default)]
struct Heard {
    said: Vec<(String, String, Action)>,
    other: usize,
}

impl Sink for Heard {
    fn sample(&mut self, sample: &Sample<'_>) {
        let tags = format!("{:?}", sample.tags);
        self.said.push((sample.name.to_owned(), tags, sample.action));
    }

    fn refused(&mut self, _: Reason) {
        self.other += 1;
    }

    fn tag(&mut self, good: bool) {
        self.other += usize::from(!good);
    }

    fn event(&mut self) {
        self.other += 1;
    }

    fn check(&mut self, _: &str, _: u8, _: &[Tag<'_>]) {
        self.other += 1;
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((bits, line)) = input.split_first() else { return };
    let bit = |at: u8| bits >> at & 1 == 1;
    let dialects =
        Dialects { dogstatsd: bit(0), influxdb: bit(1), librato: bit(2), signalfx: bit(3) };
    let mut heard = Heard::default();
    let repeat = line::parse(line, dialects, &mut heard);
    assert!(heard.said.len() <= line.len());
    if repeat == Repeat::Never {
        return;
    }
    let colon = line.iter().position(|byte| *byte == b':').expect("a good line has a colon");
    let bar = line.iter().position(|byte| *byte == b'|').expect("a good line has a bar");
    let other = [&line[..=colon], b"7:-2.5", &line[bar..]].concat();
    let mut again = Heard::default();
    assert_eq!(line::parse(&other, dialects, &mut again), repeat);
    assert_eq!((again.said.len(), again.other), (2, 0));
    for (said, value) in again.said.iter().zip([&b"7"[..], b"-2.5"]) {
        assert_eq!((&said.0, &said.1), (&heard.said[0].0, &heard.said[0].1));
        assert_eq!(Ok(said.2), repeat.action(value));
    }
});
