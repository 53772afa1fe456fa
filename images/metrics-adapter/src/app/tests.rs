use std::collections::BTreeMap;

use clap::FromArgMatches;

use super::*;
use crate::java::sample::Sample;
use crate::jmx::session::fake::{Action, Call, Fake, names};
use crate::jmx::session::methods;
use crate::pull::Deadlines;

fn args() -> Args {
    let command = <Args as clap::Args>::augment_args(clap::Command::new("x").no_binary_name(true));
    Args::from_arg_matches(&command.get_matches_from(Vec::<String>::new())).unwrap()
}

fn site(file: &std::path::Path) -> Site<Process> {
    let request = Request::Own { args: args(), file: Some(file.to_owned()) };
    let config = request.load(&BTreeMap::<String, String>::new()).unwrap();
    let (mode, limits, started) = (config.mode, config.pull, Instant::now());
    let process = Process::new(request, &config, started);
    let (live, _) = live(config, started, None).unwrap();
    Site::new(mode, None, live, limits, Arc::default(), process)
}

#[test]
fn targets_of_probe_are_told_goodbye_at_the_end() {
    let fake = Fake::start(|call: &Call| match call.hash {
        hash if hash == methods::QUERY_NAMES.hash => Action::Value(names(&[])),
        hash if hash == methods::GET_DEFAULT_DOMAIN.hash => {
            Action::Value(Sample::new().string("d"))
        }
        _ => Action::Void,
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.yml");
    let target = format!("127.0.0.1:{}", fake.port);
    let text = format!("modules:\n  m: {{type: jmx}}\ntargets: [\"{target}\"]\n");
    std::fs::write(&file, text).unwrap();
    let stop = Stop { site: Arc::new(site(&file)) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let now = Instant::now();
    let deadlines = Deadlines { now, answer: now + Duration::from_secs(60), said: false };
    let live = stop.site.live();
    let answer = runtime.block_on(live.probes.probe(&target, None, deadlines)).unwrap();
    assert_eq!(answer.error, None);
    assert_eq!(fake.calls(methods::CLOSE), []);
    stop.close();
    assert_eq!(fake.calls(methods::CLOSE).len(), 1);
}
