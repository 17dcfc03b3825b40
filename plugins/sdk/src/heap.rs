//! The heap of a guest. An instance lives for one call, so what is freed need not be found again: memory is handed out
//! from one end of a room that is there when the instance begins. Only a call that needs more makes its memory grow,
//! which costs the host more than most calls compute.

#![allow(unsafe_code, reason = "an allocator is unsafe by its nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};

/// What most calls need: a webhook with one message takes some 20 KiB.
const ROOM_BYTES: usize = 256 << 10;

/// Hands out its room from one end; what does not fit comes from the system's allocator.
#[repr(C, align(16))]
pub(crate) struct Heap {
    room: UnsafeCell<[u8; ROOM_BYTES]>,
    /// How much of the room is given away, bytes.
    used: Cell<usize>,
}

// SAFETY: a guest has one thread. Natively only tests make one, each on its own thread.
unsafe impl Sync for Heap {}

impl Heap {
    /// Nothing is given away.
    pub(crate) const fn new() -> Self {
        Self { room: UnsafeCell::new([0; ROOM_BYTES]), used: Cell::new(0) }
    }

    fn base(&self) -> *mut u8 {
        self.room.get().cast()
    }

    /// Where this place is in the room.
    fn offset(&self, place: *mut u8) -> Option<usize> {
        let offset = place.addr().wrapping_sub(self.base().addr());
        (offset < ROOM_BYTES).then_some(offset)
    }

    /// Is this the last that was given away?
    fn is_last(&self, offset: usize, bytes: usize) -> bool {
        offset + bytes == self.used.get()
    }
}

// SAFETY: places in the room are given away once: each begins at or after `used`, which moves behind it. It moves back
// only over the last one, when that is freed or shrinks. Everything else is the system's allocator.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let at = self.base().addr() + self.used.get();
        let from = self.used.get() + (at.next_multiple_of(layout.align()) - at);
        match from.checked_add(layout.size()).filter(|to| *to <= ROOM_BYTES) {
            Some(to) => {
                self.used.set(to);
                // SAFETY: `from` is within the room.
                unsafe { self.base().add(from) }
            }
            // SAFETY: the caller's layout.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        match self.offset(place) {
            Some(offset) if self.is_last(offset, layout.size()) => self.used.set(offset),
            Some(_) => {}
            // SAFETY: what is not in the room came from there, with this layout.
            None => unsafe { System.dealloc(place, layout) },
        }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let Some(offset) = self.offset(place) else {
            // SAFETY: as in `dealloc`.
            return unsafe { System.realloc(place, layout, bytes) };
        };
        if self.is_last(offset, layout.size()) && offset + bytes <= ROOM_BYTES {
            self.used.set(offset + bytes);
            return place;
        }
        if bytes <= layout.size() {
            return place;
        }
        // SAFETY: the caller's size is valid with this alignment; both places hold the old size, and are apart.
        unsafe {
            let other = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
            if !other.is_null() {
                other.copy_from_nonoverlapping(place, layout.size());
            }
            other
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Take { bytes: usize, align: u32 },
        Free(usize),
        Resize(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = prop_oneof![1usize..200, 1usize..20_000];
        prop_oneof![
            3 => (bytes.clone(), 0u32..6).prop_map(|(bytes, align)| Step::Take { bytes, align }),
            2 => any::<usize>().prop_map(Step::Free),
            3 => (any::<usize>(), bytes).prop_map(|(which, bytes)| Step::Resize(which, bytes)),
        ]
    }

    fn fill(place: *mut u8, bytes: usize, with: u8) {
        // SAFETY: the place was given away with at least this size.
        unsafe { place.write_bytes(with, bytes) };
    }

    fn holds(place: *mut u8, bytes: usize, with: u8) -> bool {
        // SAFETY: as in `fill`, which wrote it.
        unsafe { std::slice::from_raw_parts(place, bytes) }.iter().all(|it| *it == with)
    }

    proptest! {
        /// What one piece holds is never touched through another one, in the room and beyond it.
        #[test]
        fn pieces_keep_what_they_hold(steps in prop::collection::vec(step(), 1..200)) {
            let heap = Box::new(Heap::new());
            let mut pieces: Vec<(*mut u8, Layout, u8)> = vec![];
            for (step, mark) in steps.into_iter().zip((0..=255u8).cycle()) {
                match step {
                    Step::Take { bytes, align } => {
                        let layout = Layout::from_size_align(bytes, 1 << align).unwrap();
                        // SAFETY: the size is not zero.
                        let place = unsafe { heap.alloc(layout) };
                        prop_assert_eq!(place.addr() % layout.align(), 0);
                        fill(place, bytes, mark);
                        pieces.push((place, layout, mark));
                    }
                    Step::Free(which) if !pieces.is_empty() => {
                        let (place, layout, _) = pieces.swap_remove(which % pieces.len());
                        // SAFETY: it was given away with this layout, and nobody has it any more.
                        unsafe { heap.dealloc(place, layout) };
                    }
                    Step::Resize(which, bytes) if !pieces.is_empty() => {
                        let which = which % pieces.len();
                        let (place, layout, mark) = pieces[which];
                        // SAFETY: as above.
                        let place = unsafe { heap.realloc(place, layout, bytes) };
                        prop_assert_eq!(place.addr() % layout.align(), 0);
                        prop_assert!(holds(place, bytes.min(layout.size()), mark));
                        fill(place, bytes, mark);
                        pieces[which] = (place, Layout::from_size_align(bytes, layout.align()).unwrap(), mark);
                    }
                    Step::Free(_) | Step::Resize(..) => {}
                }
            }
            for (place, layout, mark) in pieces {
                prop_assert!(holds(place, layout.size(), mark));
                // SAFETY: as above.
                unsafe { heap.dealloc(place, layout) };
            }
        }
    }

    #[test]
    fn a_text_that_grows_stays_where_it_is() {
        let heap = Box::new(Heap::new());
        let layout = Layout::from_size_align(8, 1).unwrap();
        // SAFETY: sizes are not zero, and the layout is the one it was given away with.
        unsafe {
            let place = heap.alloc(layout);
            assert_eq!(heap.realloc(place, layout, 4_096), place);
            let far = heap.alloc(Layout::from_size_align(ROOM_BYTES, 1).unwrap());
            assert_eq!(heap.offset(far), None, "what does not fit is the system's");
            heap.dealloc(far, Layout::from_size_align(ROOM_BYTES, 1).unwrap());
            heap.dealloc(place, Layout::from_size_align(4_096, 1).unwrap());
        }
        assert_eq!(heap.used.get(), 0, "the last piece is given back");
    }
}
