//! Admission of a new instance: its limiter is asked about the sizes that it starts with.

use super::growth::{GrowthLimiter, HostState, MayGrow, refused};
use crate::error::{Error, Result, bail};
use mintage_runtime::{Code, Growth, Image};
use std::mem;
use std::sync::Arc;

impl<T> HostState<T> {
    /// Returns the image that an instance may start with.
    ///
    /// # Errors
    ///
    /// If the limiter refuses the sizes that the component declares, or does not answer at once.
    pub fn admit<'c>(&mut self, code: &'c Code) -> Result<&'c Arc<Image>> {
        if let Some(caps) = &self.caps {
            caps.admit(code.layout())?;
        }
        if !self.limits_growth() {
            return Ok(code.image());
        }
        for image in images(code) {
            let mut admission = Admission::new(self, code, image);
            let refusal = Growth::at_start(code, image).find_map(|growth| {
                let answer = admission.host.growing(&growth).and_then(MayGrow::now);
                admission.refusal(&growth, answer)
            });
            if admission.end(refusal)? {
                return Ok(image);
            }
        }
        bail!("a component has an image")
    }

    /// Returns the image that an instance may start with, as [`admit`](Self::admit) does, when the
    /// limiter has answered.
    ///
    /// # Errors
    ///
    /// If the limiter refuses the sizes that the component declares.
    pub async fn admit_async<'c>(&mut self, code: &'c Code) -> Result<&'c Arc<Image>>
    where
        T: Send,
    {
        if let Some(caps) = &self.caps {
            caps.admit(code.layout())?;
        }
        for image in images(code) {
            let mut admission = Admission::new(self, code, image);
            let mut refusal = None;
            for growth in Growth::at_start(code, image) {
                let answer = match admission.host.growing(&growth) {
                    Ok(answer) => answer.wait().await,
                    Err(error) => Err(error),
                };
                refusal = admission.refusal(&growth, answer);
                if refusal.is_some() {
                    break;
                }
            }
            if admission.end(refusal)? {
                return Ok(image);
            }
        }
        bail!("a component has an image")
    }
}

/// Returns the images that an instance may start with, in the order in which the limiter is asked.
/// If the sizes after start functions are refused, the start functions run again, and can see which
/// growth fails.
fn images(code: &Code) -> impl Iterator<Item = &Arc<Image>> {
    let (image, declared) = (code.image(), code.declared_image());
    let started = (!Arc::ptr_eq(image, declared)).then_some(image);
    started.into_iter().chain([declared])
}

/// The sizes of an image that the limiter has allowed so far. They are given back when this is
/// dropped, be it because the limiter panics or is not waited for any more.
struct Admission<'h, 'c, T: 'static> {
    host: &'h mut HostState<T>,
    code: &'c Code,
    image: &'c Arc<Image>,
    /// The number of sizes.
    allowed: usize,
}

impl<'h, 'c, T: 'static> Admission<'h, 'c, T> {
    fn new(host: &'h mut HostState<T>, code: &'c Code, image: &'c Arc<Image>) -> Self {
        Self {
            host,
            code,
            image,
            allowed: 0,
        }
    }

    /// Counts the next size, or returns the error if it was refused.
    fn refusal(&mut self, growth: &Growth, answer: Result<bool>) -> Option<Error> {
        match answer {
            Ok(true) => {
                self.allowed += 1;
                None
            }
            Ok(false) => Some(self.host.refused(growth).into()),
            Err(error) => Some(error.context(refused(growth, None))),
        }
    }

    /// Returns whether all sizes were allowed, which are not given back then.
    ///
    /// # Errors
    ///
    /// The refusal, if the image is the last one to try.
    fn end(self, refusal: Option<Error>) -> Result<bool> {
        match refusal {
            None => {
                mem::forget(self);
                Ok(true)
            }
            Some(error) if Arc::ptr_eq(self.image, self.code.declared_image()) => Err(error),
            Some(_) => Ok(false),
        }
    }
}

impl<T: 'static> Drop for Admission<'_, '_, T> {
    fn drop(&mut self) {
        let sizes = Growth::at_start(self.code, self.image);
        self.host.release(sizes.take(self.allowed));
    }
}
