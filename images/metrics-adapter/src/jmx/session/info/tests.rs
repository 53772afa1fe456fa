use super::{attributes, names};
use crate::java::sample::Sample;
use crate::java::{Limits, read_object};

/// A set that begins with a name, and how it goes on: the class is handle 2, the name 3, its text 4.
fn set(name: &str, rest: impl Fn(Sample) -> Sample) -> Sample {
    let set = Sample::new().object().class("java.util.HashSet", 3, &[]).null();
    let set = set.object().class("javax.management.ObjectName", 3, &[]).null();
    rest(set.string(name).end()).end()
}

#[test]
fn a_name_that_is_referred_to_is_one() {
    let sample = set("a:b=c", |set| (0..10_000).fold(set, |set, _| set.reference(3)));
    let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
    let found = names(&graph, root).unwrap();
    assert_eq!(found.iter().map(|it| it.as_str()).collect::<Vec<_>>(), ["a:b=c"]);
}

#[test]
fn names_with_a_long_text_in_common_are_too_much() {
    let long = format!("a:b={}", "x".repeat(60_000));
    let further = |count| {
        move |set| {
            (0..count).fold(set, |set: Sample, _| set.object().reference(2).reference(4).end())
        }
    };
    let sample = set(&long, further(499));
    let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
    assert_eq!(names(&graph, root).unwrap().len(), 500);
    let sample = set(&long, further(600));
    let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
    let error = names(&graph, root).unwrap_err();
    assert_eq!(error.to_string(), "protocol: names with more text than allowed");
}

/// Attributes: one, and how they go on; its class is handle 6, it is 11, its description 12, its
/// name 13, its type 14.
fn info(description: &str, count: i32, rest: impl Fn(Sample) -> Sample) -> Sample {
    const TEXT: &str = "Ljava/lang/String;";
    let class = |sample: Sample| {
        let own = ["Zis", "ZisRead", "ZisWrite", &format!("LattributeType:{TEXT}")];
        let feature = [&*format!("Ldescription:{TEXT}"), &format!("Lname:{TEXT}")];
        sample
            .class("javax.management.MBeanAttributeInfo", 2, &own)
            .class("javax.management.MBeanFeatureInfo", 3, &feature)
            .null()
    };
    let sample = Sample::new()
        .object()
        .class("javax.management.MBeanInfo", 2, &["Lattributes:[Lx;", "LclassName:Lx;"])
        .null()
        .array()
        .class("[Ljavax.management.MBeanAttributeInfo;", 2, &[])
        .null()
        .int(count);
    let sample = class(sample.object()).string(description).string("A").end();
    rest(sample.raw(&[0, 1, 0]).string("int")).null()
}

#[test]
fn an_attribute_that_is_referred_to_is_one() {
    let rest = |sample| (1..10_000).fold(sample, |sample: Sample, _| sample.reference(11));
    let sample = info(&"d".repeat(10_000), 10_000, rest);
    let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
    let found = attributes(&graph, root).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].declared.as_str()), ("A", "int"));
    assert_eq!((found[0].description.len(), found[0].readable), (10_000, true));
}

#[test]
fn attributes_with_a_long_description_in_common_are_too_much() {
    let further = |sample: Sample| {
        let sample = sample.object().reference(6).reference(12).reference(13).end();
        sample.raw(&[0, 1, 0]).reference(14)
    };
    let long = "d".repeat(60_000);
    let sample = info(&long, 500, |sample| (1..500).fold(sample, |sample, _| further(sample)));
    let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
    assert_eq!(attributes(&graph, root).unwrap().len(), 500);
    let sample = info(&long, 600, |sample| (1..600).fold(sample, |sample, _| further(sample)));
    let (graph, root) = read_object(&sample.bytes, &Limits::default()).unwrap();
    let error = attributes(&graph, root).unwrap_err();
    assert_eq!(error.to_string(), "protocol: attributes with more text than allowed");
}
