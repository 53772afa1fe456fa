use super::{ALL, GET_1, MEMCACHED_GET_1, Operation, Workload, value};

#[test]
fn values_name_their_key() {
    assert_eq!(value("k:1", 6), b"k:1|k:");
}

#[test]
fn a_batch_is_requests_and_their_replies() {
    for workload in ALL {
        let batches = workload.batches();
        let again = workload.batches();
        assert_eq!(batches[0].request, again[0].request, "{}", workload.name);
        for batch in &batches {
            assert_eq!(batch.ends.len(), workload.pipeline, "{}", workload.name);
            assert_eq!(batch.ends.last(), Some(&batch.expected.len()));
        }
    }
}

#[test]
fn requests_and_replies_are_as_the_protocols_have_them() {
    let short = Workload { value: 3, ..GET_1 };
    let text = |workload: Workload| {
        let batch = workload.batches().swap_remove(0);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\r\n", " ");
        (text(&batch.request), text(&batch.expected))
    };
    let (request, reply) = text(short);
    let key = request.split(' ').nth(4).expect("the key");
    assert_eq!(request, format!("*2 $3 GET $16 {key} "));
    assert_eq!(reply, "$3 key ");
    let two = Workload { operation: Operation::MultiGet(2), ..short };
    assert_eq!(text(two).1, "*2 $3 key $3 key ");
    let (request, reply) = text(Workload { value: 3, ..MEMCACHED_GET_1 });
    assert_eq!(request, format!("get {key} "));
    assert_eq!(reply, format!("VALUE {key} 0 3 key END "));
}
