//! The check of the reset, which shares no code with it.

use super::Slab;
use super::image::slab_range;
use mintage_artifact::PAGE;

impl Slab {
    /// Returns the first offset at which the slab differs from the image, control blocks aside.
    pub fn difference(&self) -> Option<usize> {
        const PAGE_SIZE: usize = PAGE as usize;
        let image = &self.image;
        if let Some(part) = self.grown.borrow().first() {
            return Some(part.start);
        }
        let unfilled = self.unfilled.borrow();
        let [mut runs, mut patches] =
            [image.runs(), image.patches()].map(|runs| runs.iter().peekable());
        let pages = image.accessible().iter();
        for page in pages.flat_map(|part| part.clone().step_by(PAGE_SIZE)) {
            let filled = !unfilled.iter().any(|part| part.contains(&page));
            let mut expected = [0; PAGE_SIZE];
            while runs.next_if(|run| slab_range(run).end <= page).is_some() {}
            if let Some(run) = runs.peek().filter(|run| slab_range(run).contains(&page))
                && (filled || image.file().is_some())
            {
                let source = run.file_offset as usize + page - slab_range(run).start;
                expected.copy_from_slice(&image.bytes()[source..source + PAGE_SIZE]);
            }
            while let Some(patch) =
                patches.next_if(|patch| slab_range(patch).start < page + PAGE_SIZE)
            {
                if filled {
                    let source = &image.bytes()[patch.file_offset as usize..][..patch.len as usize];
                    expected[slab_range(patch).start - page..][..source.len()]
                        .copy_from_slice(source);
                }
            }
            // SAFETY: the page is in an accessible part, and no one writes to it.
            let found = unsafe { self.bytes(page..page + PAGE_SIZE) };
            let compared = PAGE_SIZE - image.control_bytes(page);
            if found[..compared] != expected[..compared] {
                return Some(page);
            }
        }
        None
    }
}
