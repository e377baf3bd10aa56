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
    let [first, second] = [(); 2].map(|()| handles.enter());
    for call in [first, second] {
        handles.lift_borrow(&types, call, A, FILE, handle).unwrap();
    }
    // Not the one that began last.
    handles.exit(first).unwrap();
    let lent = Err(HandleError::Lent { owned: true });
    assert_eq!(handles.drop(&types, A, FILE, handle).map(|_| ()), lent);
    assert_eq!(handles.lift_own(&types, A, FILE, handle).map(|_| ()), lent);
    handles.exit(second).unwrap();
    assert_eq!(handles.lift_own(&types, A, FILE, handle), Ok(7));
    assert_eq!(
        handles.lift_own(&types, A, FILE, handle),
        Err(HandleError::Unknown { handle })
    );
}

#[test]
fn borrows_are_dropped_before_their_call_ends() {
    let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
    let outer_call = handles.enter();
    let outer = handles.lower_borrow(&types, outer_call, B, OWN, 5).unwrap();
    // The instance that defines the resource gets the representation, which is not a handle.
    assert_eq!(handles.lower_borrow(&types, outer_call, A, OWN, 5), Ok(5));
    let inner_call = handles.enter();
    let inner = handles
        .lower_borrow(&types, inner_call, B, FILE, 6)
        .unwrap();
    assert_eq!(
        handles.lift_own(&types, B, FILE, inner),
        Err(HandleError::NotOwned)
    );
    assert_eq!(handles.drop(&types, B, OWN, outer), Ok((false, 5)));
    assert_eq!(handles.exit(outer_call), Ok(()));
    assert_eq!(handles.exit(inner_call), Err(HandleError::BorrowsRemain));
}

#[test]
fn tables_and_loans_are_limited() {
    let (types, mut handles) = (resources(), Handles::new(3));
    let full = Err(HandleError::Full { limit: 3 });
    assert_eq!(handles.add_own(A, FILE, 1), Ok(1));
    assert_eq!(handles.add_own(A, FILE, 2), Ok(2));
    // Each component instance has a table of its own, but they share the limit. Room is given
    // back.
    assert_eq!(handles.add_own(B, FILE, 3), Ok(1));
    assert_eq!(handles.add_own(A, FILE, 3), full);
    assert_eq!(handles.add_own(B, FILE, 3), full);
    handles.drop(&types, A, FILE, 1).unwrap();
    assert_eq!(handles.add_own(A, FILE, 3), Ok(1));

    let call = handles.enter();
    for _ in 0..3 {
        assert_eq!(handles.lift_borrow(&types, call, A, FILE, 1), Ok(3));
    }
    let other = handles.enter();
    assert_eq!(handles.lift_borrow(&types, other, A, FILE, 1), full);
    assert_eq!(handles.lower_borrow(&types, other, A, FILE, 5), full);
    handles.exit(call).unwrap();
    assert_eq!(handles.lift_borrow(&types, other, A, FILE, 1), Ok(3));
}

#[test]
fn an_abandoned_call_leaves_nothing() {
    let (types, mut handles) = (resources(), Handles::new(MAX_HANDLES));
    let own = handles.add_own(A, FILE, 7).unwrap();
    let (call, other) = (handles.enter(), handles.enter());
    handles.lift_borrow(&types, call, A, FILE, own).unwrap();
    let lent = handles.lower_borrow(&types, call, B, FILE, 7).unwrap();
    let kept = handles.lower_borrow(&types, other, B, FILE, 7).unwrap();
    handles.abandon(call);
    assert_eq!(handles.rep(&types, B, FILE, kept), Ok(7));
    assert_eq!(
        handles.rep(&types, B, FILE, lent),
        Err(HandleError::Unknown { handle: lent })
    );
    assert_eq!(handles.drop(&types, A, FILE, own), Ok((true, 7)));
}

/// The specification's `Table` and the loans of its tasks, with maps instead of lists, for
/// comparison.
#[derive(Default)]
struct Model {
    handles: BTreeMap<u32, ModelHandle>,
    free: Vec<u32>,
    calls: BTreeMap<CallId, ModelCall>,
}

struct ModelHandle {
    resource: ResourceId,
    rep: u32,
    borrowed_for: Option<CallId>,
    lends: u32,
}

#[derive(Default)]
struct ModelCall {
    borrows: u32,
    loans: Vec<u32>,
}

impl Model {
    fn add(&mut self, resource: ResourceId, rep: u32, borrowed_for: Option<CallId>) -> u32 {
        let next = (self.handles.len() + self.free.len()) as u32 + 1;
        let index = self.free.pop().unwrap_or(next);
        let handle = ModelHandle {
            resource,
            rep,
            borrowed_for,
            lends: 0,
        };
        self.handles.insert(index, handle);
        index
    }

    fn get(&mut self, resource: ResourceId, handle: u32) -> Result<&mut ModelHandle, Trap> {
        match self.handles.get_mut(&handle) {
            None => Err(Trap::UnknownHandle),
            Some(found) if found.resource != resource => Err(Trap::WrongHandleType),
            Some(found) => Ok(found),
        }
    }

    fn remove(&mut self, resource: ResourceId, handle: u32, as_own: bool) -> Result<u32, Trap> {
        let &mut ModelHandle {
            rep,
            borrowed_for,
            lends,
            ..
        } = self.get(resource, handle)?;
        if lends != 0 {
            return Err(Trap::HandleLent);
        }
        match borrowed_for {
            Some(_) if as_own => return Err(Trap::NotOwned),
            Some(call) => self.calls.get_mut(&call).unwrap().borrows -= 1,
            None => {}
        }
        self.handles.remove(&handle);
        self.free.push(handle);
        Ok(rep)
    }

    /// The call under way that `number` chooses, if there is any.
    fn choose(&self, number: u32) -> Option<CallId> {
        let place = number as usize % self.calls.len().max(1);
        self.calls.keys().nth(place).copied()
    }

    /// Lends `handle` to `call` and returns the representation and the callee's handle.
    fn lend(
        &mut self,
        call: CallId,
        resource: ResourceId,
        handle: u32,
    ) -> Result<(u32, u32), Trap> {
        let lent = self.get(resource, handle)?;
        lent.lends += 1;
        let rep = lent.rep;
        let scope = self.calls.get_mut(&call).unwrap();
        scope.loans.push(handle);
        scope.borrows += 1;
        Ok((rep, self.add(resource, rep, Some(call))))
    }

    /// Ends a call whose callee has dropped all that it was lent.
    fn exit(&mut self, call: CallId) {
        let scope = self.calls.remove(&call).unwrap();
        for handle in scope.loans {
            self.handles.get_mut(&handle).unwrap().lends -= 1;
        }
    }
}

proptest! {
    /// Steps that would end an instance in a trap leave the tables unchanged, so the test
    /// continues.
    #[test]
    fn tables_match_the_specification(
        steps in prop::collection::vec((0..7u8, 0..2u32, 0..12u32), 0..200),
    ) {
        let types = resources();
        let (mut handles, mut model) = (Handles::new(MAX_HANDLES), Model::default());
        for (step, resource, number) in steps {
            let resource = ResourceId::from_u32(resource);
            // The model is of domain B, where no resource is defined.
            let (found, expected) = match step {
                0 => {
                    let expected = Ok(model.add(resource, number, None));
                    (handles.add_own(B, resource, number), expected)
                }
                1 => {
                    let dropped = handles.drop(&types, B, resource, number);
                    let expected = model.remove(resource, number, false);
                    (dropped.map(|(_, rep)| rep), expected)
                }
                2 => {
                    let expected = model.remove(resource, number, true);
                    (handles.lift_own(&types, B, resource, number), expected)
                }
                3 => {
                    let expected = model.get(resource, number).map(|found| found.rep);
                    (handles.rep(&types, B, resource, number), expected)
                }
                4 => {
                    let call = handles.enter();
                    prop_assert!(model.calls.insert(call, ModelCall::default()).is_none());
                    continue;
                }
                5 => {
                    let Some(call) = model.choose(number) else { continue };
                    if model.calls[&call].borrows != 0 {
                        // The specification's instance ends here.
                        prop_assert_eq!(handles.exit(call), Err(HandleError::BorrowsRemain));
                        break;
                    }
                    model.exit(call);
                    prop_assert_eq!(handles.exit(call), Ok(()));
                    continue;
                }
                _ => {
                    // One call of several, chosen by what else the step has to choose by.
                    let Some(call) = model.choose(number / 2) else { continue };
                    let expected = model.lend(call, resource, number);
                    let found = handles.lift_borrow(&types, call, B, resource, number);
                    if let Ok((rep, handle)) = expected {
                        let lowered = handles.lower_borrow(&types, call, B, resource, rep);
                        prop_assert_eq!(lowered, Ok(handle));
                    }
                    (found, expected.map(|(rep, _)| rep))
                }
            };
            prop_assert_eq!(found.map_err(HandleError::trap), expected);
        }
        // After a trap the tables are not used any more.
        for (&handle, found) in &model.handles {
            let rep = handles.rep(&types, B, found.resource, handle);
            prop_assert_eq!(rep, Ok(found.rep));
        }
    }
}
