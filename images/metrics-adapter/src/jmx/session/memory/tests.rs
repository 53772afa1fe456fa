use super::*;

fn bean(number: usize) -> ObjectName {
    ObjectName::parse(&format!("a:n={number}")).unwrap()
}

#[test]
fn a_suspect_is_asked_singly_until_it_is_clear_what_is_to_blame() {
    let mut memory = Memory::default();
    let (found, not_found) = (bean(1), bean(2));
    for bean in [&found, &not_found] {
        memory.suspect(bean);
        assert!(memory.singly(bean));
    }
    memory.refuse(&found, "X");
    assert!(memory.singly(&found), "there may be more");
    memory.settle(&found);
    memory.settle(&not_found);
    assert!(!memory.singly(&found) && !memory.allows(&found, "X") && memory.allows(&found, "Y"));
    assert!(memory.singly(&not_found));
    // It breaks off again, and what is known already is not to blame.
    memory.suspect(&found);
    memory.settle(&found);
    assert!(memory.singly(&found));
}

#[test]
fn what_is_old_is_forgotten_one_bean_a_pass() {
    let mut memory = Memory::default();
    memory.begin_pass();
    memory.refuse(&bean(1), "X");
    memory.ask_singly(&bean(2));
    for _ in 1..AGE_MAX {
        memory.begin_pass();
        assert_eq!(memory.beans.len(), 2);
    }
    for left in [1, 0] {
        memory.begin_pass();
        assert_eq!(memory.beans.len(), left);
    }
}
