//! `jvmMetrics`: the metrics that the Java agent of the original has of its own JVM, made from the
//! platform's beans. Rules and filters of the file do not touch them.
//!
//! What no attribute tells is missing: states of threads, deadlocks, bytes allocated per pool.
//! `jvm_runtime_info` has the name of the virtual machine for that of the runtime.

use std::collections::BTreeMap;

use super::budget::Budget;
use super::engine::short;
use crate::exposition::{Family, Kind};
use crate::jmx::{AttributeInfo, ObjectName, Value};
use crate::labels::Labels;

/// From where a family comes.
struct Source {
    /// `type` of the bean.
    bean: &'static str,
    attribute: &'static str,
    /// Key of composite data; empty for a plain attribute.
    key: &'static str,
    name: &'static str,
    /// Name and value of a label; an empty value stands for the bean's `name`.
    label: Option<(&'static str, &'static str)>,
    kind: Kind,
    factor: f64,
    help: &'static str,
}

/// Families of one scrape.
#[derive(Debug, Default)]
pub(super) struct JvmFamilies(BTreeMap<&'static str, Family>);

const fn plain(
    bean: &'static str,
    attribute: &'static str,
    name: &'static str,
    help: &'static str,
) -> Source {
    let (kind, factor) = (Kind::Gauge, 1.0);
    Source { bean, attribute, key: "", name, label: None, kind, factor, help }
}

const fn counter(source: Source, factor: f64) -> Source {
    Source { kind: Kind::Counter, factor, ..source }
}

const fn labelled(source: Source, name: &'static str, value: &'static str) -> Source {
    Source { label: Some((name, value)), ..source }
}

const SOURCES: [Source; 19] = [
    plain(
        "ClassLoading",
        "LoadedClassCount",
        "jvm_classes_currently_loaded",
        "Classes loaded now.",
    ),
    counter(
        plain("ClassLoading", "TotalLoadedClassCount", "jvm_classes_loaded_total", LOADED),
        1.0,
    ),
    counter(
        plain("ClassLoading", "UnloadedClassCount", "jvm_classes_unloaded_total", UNLOADED),
        1.0,
    ),
    counter(
        plain(
            "Compilation",
            "TotalCompilationTime",
            "jvm_compilation_time_seconds_total",
            COMPILED,
        ),
        0.001,
    ),
    plain("Threading", "ThreadCount", "jvm_threads_current", "Threads alive."),
    plain("Threading", "DaemonThreadCount", "jvm_threads_daemon", "Daemon threads alive."),
    plain("Threading", "PeakThreadCount", "jvm_threads_peak", "Most threads alive at a time."),
    counter(
        plain("Threading", "TotalStartedThreadCount", "jvm_threads_started_total", STARTED),
        1.0,
    ),
    plain(
        "Memory",
        "ObjectPendingFinalizationCount",
        "jvm_memory_objects_pending_finalization",
        "Objects whose finalizer waits to run.",
    ),
    labelled(
        Source {
            kind: Kind::Untyped,
            ..plain("GarbageCollector", "CollectionCount", "jvm_gc_collection_seconds_count", GC)
        },
        "gc",
        "",
    ),
    labelled(
        Source {
            kind: Kind::Untyped,
            factor: 0.001,
            ..plain("GarbageCollector", "CollectionTime", "jvm_gc_collection_seconds_sum", GC)
        },
        "gc",
        "",
    ),
    labelled(
        plain("BufferPool", "MemoryUsed", "jvm_buffer_pool_used_bytes", "Bytes in use."),
        "pool",
        "",
    ),
    labelled(
        plain(
            "BufferPool",
            "TotalCapacity",
            "jvm_buffer_pool_capacity_bytes",
            "Bytes of capacity.",
        ),
        "pool",
        "",
    ),
    labelled(
        plain("BufferPool", "Count", "jvm_buffer_pool_used_buffers", "Buffers in use."),
        "pool",
        "",
    ),
    counter(plain("OperatingSystem", "ProcessCpuTime", "process_cpu_seconds_total", CPU), 1e-9),
    plain("OperatingSystem", "OpenFileDescriptorCount", "process_open_fds", "Open descriptors."),
    plain("OperatingSystem", "MaxFileDescriptorCount", "process_max_fds", "Most descriptors."),
    plain(
        "OperatingSystem",
        "CommittedVirtualMemorySize",
        "process_virtual_memory_bytes",
        "Virtual memory in bytes.",
    ),
    Source {
        factor: 0.001,
        ..plain(
            "Runtime",
            "StartTime",
            "process_start_time_seconds",
            "Start, in seconds since 1970.",
        )
    },
];
const LOADED: &str = "Classes loaded since the start.";
const UNLOADED: &str = "Classes unloaded since the start.";
const COMPILED: &str = "Seconds spent on compilation.";
const STARTED: &str = "Threads started since the start.";
const GC: &str = "Collections of a collector, and seconds spent on them.";
const CPU: &str = "Processor time in seconds, of users and system.";

/// A composite attribute of memory.
struct Usage {
    bean: &'static str,
    attribute: &'static str,
    /// Families in the order of [`USAGE_KEYS`].
    names: [&'static str; 4],
    /// As in [`Source`].
    label: (&'static str, &'static str),
}
const USAGES: [Usage; 4] = [
    Usage { bean: "Memory", attribute: "HeapMemoryUsage", names: AREAS, label: ("area", "heap") },
    Usage {
        bean: "Memory",
        attribute: "NonHeapMemoryUsage",
        names: AREAS,
        label: ("area", "nonheap"),
    },
    Usage {
        bean: "MemoryPool",
        attribute: "Usage",
        names: [
            "jvm_memory_pool_used_bytes",
            "jvm_memory_pool_committed_bytes",
            "jvm_memory_pool_max_bytes",
            "jvm_memory_pool_init_bytes",
        ],
        label: ("pool", ""),
    },
    Usage {
        bean: "MemoryPool",
        attribute: "CollectionUsage",
        names: [
            "jvm_memory_pool_collection_used_bytes",
            "jvm_memory_pool_collection_committed_bytes",
            "jvm_memory_pool_collection_max_bytes",
            "jvm_memory_pool_collection_init_bytes",
        ],
        label: ("pool", ""),
    },
];
const AREAS: [&str; 4] = [
    "jvm_memory_used_bytes",
    "jvm_memory_committed_bytes",
    "jvm_memory_max_bytes",
    "jvm_memory_init_bytes",
];
/// Keys of memory's composite data.
const USAGE_KEYS: [&str; 4] = ["used", "committed", "max", "init"];
/// Attributes and labels of `jvm_runtime_info`.
const INFO: [(&str, &str); 3] =
    [("VmName", "runtime"), ("VmVendor", "vendor"), ("VmVersion", "version")];

/// Patterns for the beans that are read.
pub(super) const QUERIES: [&str; 2] = ["java.lang:*", "java.nio:*"];

/// Whether something is read of a bean.
pub(super) fn wants_bean(name: &ObjectName) -> bool {
    bean_type(name).is_some()
}

/// Whether an attribute of such a bean is read.
pub(super) fn wants_attribute(name: &ObjectName, attribute: &str) -> bool {
    bean_type(name).is_some_and(|bean| {
        sources().any(|source| source.bean == bean && source.attribute == attribute)
            || (bean == "Runtime" && INFO.iter().any(|(name, _)| *name == attribute))
    })
}

/// Plain attributes and the keys of memory's composite data.
fn sources() -> impl Iterator<Item = Source> {
    let usages = USAGES.iter().flat_map(|Usage { bean, attribute, names, label }| {
        let keys = names.iter().zip(USAGE_KEYS);
        keys.map(|(name, key)| Source {
            key,
            ..labelled(plain(bean, attribute, name, "Memory in bytes."), label.0, label.1)
        })
    });
    SOURCES.into_iter().chain(usages)
}

/// `type` of a bean of which something is read.
fn bean_type(name: &ObjectName) -> Option<&str> {
    let bean = name.property("type")?;
    let known = match name.domain() {
        "java.lang" => bean != "BufferPool",
        "java.nio" => bean == "BufferPool",
        _ => false,
    };
    let read = bean == "Runtime" || sources().any(|source| source.bean == bean);
    (known && read).then_some(bean)
}

fn push(family: &mut Family, labels: Labels, value: f64, budget: &mut Budget) {
    match budget.page.take(size_of::<(Labels, f64)>() + labels.as_str().len()) {
        true => family.samples.push((labels, value)),
        false => budget.refuse(1),
    }
}

// === impl JvmFamilies ===

impl JvmFamilies {
    /// Takes what there is of a bean.
    pub(super) fn bean(
        &mut self,
        name: &ObjectName,
        attributes: &[(&AttributeInfo, &Value)],
        budget: &mut Budget,
    ) {
        let Some(bean) = bean_type(name) else { return };
        for source in sources().filter(|source| source.bean == bean) {
            let value = attributes.iter().find(|(info, _)| info.name == source.attribute);
            let number = match (source.key, value.map(|(_, value)| *value)) {
                ("", Some(Value::Number(number))) => number.as_f64(),
                (key, Some(Value::Composite { entries, .. })) => {
                    match entries.iter().find(|(name, _)| name == key) {
                        Some((_, Value::Number(number))) => number.as_f64(),
                        _ => continue,
                    }
                }
                _ => continue,
            };
            let label = source.label.map(|(label, value)| match value {
                "" => (label, short(name.property("name").unwrap_or_default())),
                value => (label, value),
            });
            let family = self.family(source.name, source.kind, source.help);
            push(family, Labels::new(label), number * source.factor, budget);
        }
        if bean == "Runtime" {
            let text = |wanted: &str| {
                let found = attributes.iter().find(|(info, _)| info.name == wanted);
                let text = found.and_then(|(_, value)| super::walk::text(value));
                text.map(|text| short(&text).to_owned()).unwrap_or_default()
            };
            let labels = Labels::new(INFO.map(|(attribute, label)| (label, text(attribute))));
            let family = self.family("jvm_runtime_info", Kind::Gauge, "What runs; always 1.");
            push(family, labels, 1.0, budget);
        }
    }

    fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> &mut Family {
        self.0.entry(name).or_insert_with(|| {
            let (name, help) = (name.to_owned(), help.to_owned());
            Family { name, help, kind, samples: Vec::new() }
        })
    }

    /// Adds the families to those of rules. Where both have a name, that of rules stays.
    pub(super) fn finish(self, families: &mut Vec<Family>) {
        for family in self.0.into_values().filter(|family| !family.samples.is_empty()) {
            let at = families.binary_search_by(|other| other.name.cmp(&family.name));
            if let Err(at) = at {
                families.insert(at, family);
            }
        }
    }
}
