//! Scenarios around [`super::Core`].

mod rig;

/// Each scenario stands for a promise, many for a fault that was found.
#[test]
fn scenarios() {
    let text = include_str!("testdata/scenarios.txt");
    let mut broken = Vec::new();
    for scenario in text.split("=== ").skip(1) {
        let (name, lines) = scenario.split_once('\n').unwrap();
        if std::panic::catch_unwind(|| rig::play(name, lines)).is_err() {
            broken.push(name);
        }
    }
    assert!(broken.is_empty(), "broken scenarios: {broken:#?}");
}
