//! Tests of the handle tables, one of them against a model of the specification.

use super::*;
use mintage_environ::Trap;
use proptest::prelude::*;
use std::collections::BTreeMap;

const A: DomainId = DomainId::from_u32(0);
const B: DomainId = DomainId::from_u32(1);
const FILE: ResourceId = ResourceId::from_u32(0);
const OWN: ResourceId = ResourceId::from_u32(1);

/// `FILE` is the host's, `OWN` is of domain `A`.
fn resources() -> Resources {
    [
        Resource::Imported { path: Box::new([]) },
        Resource::Defined {
            domain: A,
            dtor: None,
        },
    ]
    .into_iter()
    .collect()
}

#[test]
fn indexes_start_at_one_and_the_last_freed_is_reused_first() {
    let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
    let add = |handles: &mut Handles, rep| handles.add_own(A, OWN, rep).unwrap();
    assert_eq!([10, 20, 30].map(|rep| add(&mut handles, rep)), [1, 2, 3]);
    for handle in [2, 1, 3] {
        assert_eq!(
            handles.drop(&types, A, OWN, handle),
            Ok((true, handle * 10))
        );
    }
    assert_eq!(
        [40, 50, 60, 70].map(|rep| add(&mut handles, rep)),
        [3, 1, 2, 4]
    );
    assert_eq!(handles.rep(&types, A, OWN, 1), Ok(50));
    for handle in [0, 5, u32::MAX] {
        assert_eq!(
            handles.rep(&types, A, OWN, handle),
            Err(HandleError::Unknown { handle })
        );
    }
    assert_eq!(
        handles.rep(&types, B, OWN, 1),
        Err(HandleError::Unknown { handle: 1 })
    );
}

#[test]
fn a_handle_remembers_its_type() {
    let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
    let handle = handles.add_own(A, FILE, 7).unwrap();
    let error = handles.drop(&types, A, OWN, handle).unwrap_err();
    assert_eq!(error.trap(), Trap::WrongHandleType);
    assert_eq!(
        error.to_string(),
        "handle index 1 used with the wrong type, expected guest-defined resource but found a \
         host-defined resource"
    );
    assert_eq!(handles.rep(&types, A, FILE, handle), Ok(7));
}

#[test]
fn loans_are_counted_and_end_with_their_call() {
    let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
    let handle = handles.add_own(A, FILE, 7).unwrap();
    handles.enter().unwrap();
    handles.lift_borrow(&types, A, FILE, handle).unwrap();
    handles.enter().unwrap();
    handles.lift_borrow(&types, A, FILE, handle).unwrap();
    handles.exit().unwrap();
    let lent = Err(HandleError::Lent { owned: true });
    assert_eq!(handles.drop(&types, A, FILE, handle).map(|_| ()), lent);
    assert_eq!(handles.lift_own(&types, A, FILE, handle).map(|_| ()), lent);
    handles.exit().unwrap();
    assert_eq!(handles.lift_own(&types, A, FILE, handle), Ok(7));
    assert_eq!(
        handles.lift_own(&types, A, FILE, handle),
        Err(HandleError::Unknown { handle })
    );
}

#[test]
fn borrows_are_dropped_before_their_call_ends() {
    let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
    handles.enter().unwrap();
    let outer = handles.lower_borrow(&types, B, OWN, 5).unwrap();
    // The instance that defines the resource gets the representation, which is no handle.
    assert_eq!(handles.lower_borrow(&types, A, OWN, 5), Ok(5));
    handles.enter().unwrap();
    let inner = handles.lower_borrow(&types, B, FILE, 6).unwrap();
    assert_eq!(
        handles.lift_own(&types, B, FILE, inner),
        Err(HandleError::NotOwned)
    );
    assert_eq!(handles.exit(), Err(HandleError::BorrowsRemain));
    assert_eq!(handles.drop(&types, B, OWN, outer), Ok((false, 5)));
    assert_eq!(handles.exit(), Ok(()));
}

#[test]
fn tables_and_loans_are_limited() {
    let (types, mut handles) = (resources(), Handles::new(3));
    let full = Err(HandleError::Full);
    assert_eq!(handles.add_own(A, FILE, 1), Ok(1));
    assert_eq!(handles.add_own(A, FILE, 2), Ok(2));
    // Each component instance has a table of its own, but they share the limit. Room is given
    // back.
    assert_eq!(handles.add_own(B, FILE, 3), Ok(1));
    assert_eq!(handles.add_own(A, FILE, 3), full);
    assert_eq!(handles.add_own(B, FILE, 3), full);
    handles.drop(&types, A, FILE, 1).unwrap();
    assert_eq!(handles.add_own(A, FILE, 3), Ok(1));

    handles.enter().unwrap();
    for _ in 0..3 {
        assert_eq!(handles.lift_borrow(&types, A, FILE, 1), Ok(3));
    }
    assert_eq!(handles.lift_borrow(&types, A, FILE, 1), full);
    assert_eq!(handles.lower_borrow(&types, A, FILE, 5), full);
}

#[test]
fn an_abandoned_call_leaves_nothing() {
    let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
    let own = handles.add_own(A, FILE, 7).unwrap();
    handles.enter().unwrap();
    handles.lift_borrow(&types, A, FILE, own).unwrap();
    let lent = handles.lower_borrow(&types, B, FILE, 7).unwrap();
    handles.abandon();
    assert_eq!(
        handles.rep(&types, B, FILE, lent),
        Err(HandleError::Unknown { handle: lent })
    );
    assert_eq!(handles.drop(&types, A, FILE, own), Ok((true, 7)));
}

/// What the specification's `Table` and the loans of its tasks amount to, with maps in place of
/// slots: for comparison.
#[derive(Default)]
struct Model {
    handles: BTreeMap<u32, (ResourceId, u32, Option<usize>, u32)>,
    free: Vec<u32>,
    calls: Vec<(u32, Vec<u32>)>,
}

impl Model {
    fn add(&mut self, resource: ResourceId, rep: u32, call: Option<usize>) -> u32 {
        let next = (self.handles.len() + self.free.len()) as u32 + 1;
        let index = self.free.pop().unwrap_or(next);
        self.handles.insert(index, (resource, rep, call, 0));
        index
    }

    fn get(
        &mut self,
        resource: ResourceId,
        handle: u32,
    ) -> Result<&mut (ResourceId, u32, Option<usize>, u32), Trap> {
        match self.handles.get_mut(&handle) {
            None => Err(Trap::UnknownHandle),
            Some((found, ..)) if *found != resource => Err(Trap::WrongHandleType),
            Some(entry) => Ok(entry),
        }
    }

    fn remove(&mut self, resource: ResourceId, handle: u32, as_own: bool) -> Result<u32, Trap> {
        let &mut (_, rep, call, lends) = self.get(resource, handle)?;
        if lends != 0 {
            return Err(Trap::HandleLent);
        }
        match call {
            Some(_) if as_own => return Err(Trap::NotOwned),
            Some(call) => self.calls[call].0 -= 1,
            None => {}
        }
        self.handles.remove(&handle);
        self.free.push(handle);
        Ok(rep)
    }
}

proptest! {
    /// Steps that would end an instance in a trap leave the tables as they were, so that the
    /// walk goes on.
    #[test]
    fn tables_are_those_of_the_specification(
        steps in prop::collection::vec((0..7u8, 0..2u32, 0..12u32), 0..200),
    ) {
        let (types, mut handles, mut model) = (resources(), Handles::new(MAX_HANDLES), Model::default());
        for (step, resource, number) in steps {
            let resource = ResourceId::from_u32(resource);
            // The model is of domain B, where no resource is defined.
            let (found, expected) = match step {
                0 => (handles.add_own(B, resource, number), Ok(model.add(resource, number, None))),
                1 => (
                    handles.drop(&types, B, resource, number).map(|(_, rep)| rep),
                    model.remove(resource, number, false),
                ),
                2 => (handles.lift_own(&types, B, resource, number), model.remove(resource, number, true)),
                3 => (handles.rep(&types, B, resource, number), model.get(resource, number).map(|entry| entry.1)),
                4 => {
                    handles.enter().unwrap();
                    model.calls.push((0, Vec::new()));
                    continue;
                }
                5 if !model.calls.is_empty() => {
                    let borrows = model.calls.last().map_or(0, |call| call.0);
                    if borrows != 0 {
                        // The specification's instance ends here.
                        break;
                    }
                    let (_, loans) = model.calls.pop().unwrap_or_default();
                    for handle in loans {
                        model.handles.get_mut(&handle).unwrap().3 -= 1;
                    }
                    prop_assert_eq!(handles.exit(), Ok(()));
                    continue;
                }
                6 if !model.calls.is_empty() => {
                    let lent = model.get(resource, number).map(|entry| {
                        entry.3 += 1;
                        entry.1
                    });
                    let found = handles.lift_borrow(&types, B, resource, number);
                    if let Ok(rep) = lent {
                        model.calls.last_mut().unwrap().1.push(number);
                        let last = model.calls.len() - 1;
                        model.calls[last].0 += 1;
                        let handle = model.add(resource, rep, Some(last));
                        prop_assert_eq!(handles.lower_borrow(&types, B, resource, rep), Ok(handle));
                    }
                    (found, lent)
                }
                _ => continue,
            };
            prop_assert_eq!(found.map_err(HandleError::trap), expected);
        }
        for (&handle, &(resource, rep, ..)) in &model.handles {
            prop_assert_eq!(handles.rep(&types, B, resource, handle), Ok(rep));
        }
    }
}
