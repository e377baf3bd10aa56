//! Events, and ends of streams and futures (`definitions.py`, "Waitable State", "Stream and
//! Future State").

use crate::guest::BUFFERS;
use crate::model::{
    Buffer, Checked, End, EndState, Handle, Model, Report, Waitable, WaitableKind, Wid,
};

impl Model {
    /// Takes an event of a set: the one that `report` says, if that can be.
    pub fn set_event(&mut self, set: usize, report: Report) -> Checked<Report> {
        let members = self.sets[set].0.iter().copied();
        let found = members
            .filter(|&member| self.waitable(member).pending)
            .find(|&member| self.waitable(member).index == report[1]);
        match found {
            Some(member) => Ok(self.take_event(member)),
            None => Err("it reports an event that is not there"),
        }
    }

    pub fn take_event(&mut self, waitable: Wid) -> Report {
        let entry = self.waitable_mut(waitable);
        entry.pending = false;
        let index = entry.index;
        match &mut entry.kind {
            WaitableKind::Subtask(subtask) => {
                subtask.is_delivered |= subtask.state >= 2;
                [1, index, subtask.state]
            }
            WaitableKind::End(end) => {
                let code = 2 + u32::from(end.writes) + 2 * u32::from(end.is_future);
                end.buffer = None;
                let (state, result) = if end.is_future && end.progress == 1 {
                    (EndState::Done, 0)
                } else if end.other.is_none() {
                    (EndState::Done, 1)
                } else if end.state == EndState::Cancelling {
                    (EndState::Idle, 2)
                } else {
                    (EndState::Idle, 0)
                };
                end.state = state;
                let progress = if end.is_future { 0 } else { end.progress };
                [code, index, result | progress << 4]
            }
        }
    }

    pub fn notify(&mut self, end: Wid, progress: u32) {
        self.end_mut(end).progress = progress;
        self.waitable_mut(end).pending = true;
    }

    pub fn add_end(&mut self, domain: usize, is_future: bool, writes: bool) -> Wid {
        self.waitables.push(Some(Waitable {
            domain,
            index: 0,
            pending: false,
            set: None,
            has_waiter: false,
            kind: WaitableKind::End(End {
                is_future,
                writes,
                state: EndState::Idle,
                other: None,
                buffer: None,
                progress: 0,
                is_promised: false,
            }),
        }));
        let end = self.waitables.len() - 1;
        self.waitable_mut(end).index = self.domains[domain].handles.add(Handle::Waitable(end));
        end
    }

    pub fn copy(&mut self, end: Wid, mut buffer: Buffer) {
        self.end_mut(end).state = EndState::Copying;
        let (writes, other) = (self.end(end).writes, self.end(end).other);
        let Some(other) = other else {
            return;
        };
        let Some(mut others) = self.end(other).buffer else {
            self.end_mut(end).buffer = Some(buffer);
            return;
        };
        if buffer.remain() > 0 && others.remain() > 0 {
            let count = buffer.remain().min(others.remain());
            match writes {
                true => self.transfer(&mut buffer, &mut others, count),
                false => self.transfer(&mut others, &mut buffer, count),
            }
            self.notify(end, buffer.progress);
            self.notify(other, others.progress);
            self.end_mut(other).buffer = (others.remain() > 0).then_some(others);
        } else if buffer.remain() > 0 || !writes && others.remain() == 0 {
            self.notify(other, 0);
            self.end_mut(other).buffer = None;
            self.end_mut(end).buffer = Some(buffer);
        } else {
            self.notify(end, 0);
        }
    }

    pub fn transfer(&mut self, from: &mut Buffer, to: &mut Buffer, count: u32) {
        let range = |buffer: &Buffer| {
            let start = (buffer.pointer - BUFFERS + buffer.progress) as usize;
            start..start + count as usize
        };
        let values = self.domains[from.domain].memory[range(from)].to_vec();
        self.domains[to.domain].memory[range(to)].copy_from_slice(&values);
        from.progress += count;
        to.progress += count;
    }

    pub fn drop_waitable(&mut self, waitable: Wid) {
        if let WaitableKind::End(End {
            other: Some(other), ..
        }) = self.waitable(waitable).kind
        {
            self.end_mut(other).other = None;
            if self.end(other).state != EndState::Done && !self.waitable(other).pending {
                self.notify(other, 0);
            }
        }
        self.join_set(waitable, None);
        self.waitables[waitable] = None;
    }

    pub fn join_set(&mut self, waitable: Wid, set: Option<usize>) {
        if let Some(old) = self.waitable(waitable).set {
            self.sets[old].0.retain(|&member| member != waitable);
        }
        self.waitable_mut(waitable).set = set;
        if let Some(set) = set {
            self.sets[set].0.push(waitable);
        }
    }
}
