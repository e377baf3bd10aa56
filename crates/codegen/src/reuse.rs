//! [`FunctionCache`]: machine code of functions, kept for compilations of the same function.
//!
//! The key of an entry is a hash of a function's intermediate code, and of everything else that its
//! machine code depends on. The names of callees and the function's place in the component are left
//! out: they are bound when an entry is used ([`UnboundFunction`]). So a function keeps its code
//! when others are added, removed or moved, and when the component's data change.
//!
//! Where only data and the bodies of some functions have changed, not even the intermediate code of
//! the others is needed: under a hash of all that they have in common, with the bodies that may be
//! inlined, there is a list of the component's functions, each with a hash of its body ([`Kept`]).
//!
//! Both the key and the tag of an entry are BLAKE3 in keyed mode. Whoever does not know the secret
//! can neither make an entry that is used, nor let one pass for another.

use crate::isa;
use crate::unbound::UnboundFunction;
use cranelift_codegen::ir::{Function, UserExternalName};
use cranelift_codegen::isa::TargetIsa;
use mintage_environ::FuncKey;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// A store of compiled functions.
///
/// Any thread may call it at any time. It may forget entries. What it returns for a key is used
/// only if it is what was inserted for the key: entries are authenticated.
pub trait CacheStore: Send + Sync + Debug {
    /// Returns the value of a key.
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>>;

    /// Sets the value of a key. Returns whether it was stored.
    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool;
}

/// The number of bytes of keys, tags and secrets.
const HASH_SIZE: usize = blake3::OUT_LEN;

/// A store of compiled functions, with the secret that authenticates its entries.
#[derive(Clone, Debug)]
pub struct FunctionCache {
    store: Arc<dyn CacheStore>,
    secret: Secret,
}

#[derive(Clone, Copy)]
struct Secret([u8; HASH_SIZE]);

impl Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// The key of an entry.
#[derive(Clone, Copy)]
pub(crate) struct Digest(blake3::Hash);

/// The key of the list of a program's functions.
pub struct ProgramDigest(Digest);

/// A function of a program whose machine code is in a [`FunctionCache`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// The function.
    pub key: FuncKey,
    /// The hash of its body.
    body: [u8; HASH_SIZE],
    /// The key of its machine code.
    digest: [u8; HASH_SIZE],
    /// The names that it declares, each as the two parts of a key.
    names: Vec<(u32, u32)>,
}

impl Kept {
    pub(crate) fn new(
        key: FuncKey,
        body: blake3::Hash,
        digest: &Digest,
        names: &[UserExternalName],
    ) -> Kept {
        let names = names.iter().map(|name| (name.namespace, name.index));
        Kept {
            key,
            body: *body.as_bytes(),
            digest: *digest.0.as_bytes(),
            names: names.collect(),
        }
    }

    pub(crate) fn has_body(&self, body: blake3::Hash) -> bool {
        body == blake3::Hash::from_bytes(self.body)
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest(self.digest.into())
    }

    pub(crate) fn names(&self) -> Vec<UserExternalName> {
        let names = self.names.iter();
        names
            .map(|&(namespace, index)| UserExternalName { namespace, index })
            .collect()
    }
}

// A store that panics is left in some state of its own. What it returns then is checked as always.
impl UnwindSafe for FunctionCache {}
impl RefUnwindSafe for FunctionCache {}

impl FunctionCache {
    /// Returns a cache whose entries are in `store`.
    ///
    /// Entries that were made with another secret are not used. Whoever knows the secret and can
    /// write to the store determines what code runs.
    pub fn new(store: Arc<dyn CacheStore>, secret: [u8; HASH_SIZE]) -> Self {
        Self {
            store,
            secret: Secret(secret),
        }
    }

    /// Hashes everything that the machine code of `func` depends on.
    pub(crate) fn digest(&self, isa: &dyn TargetIsa, func: &Function, settings: &[u8]) -> Digest {
        let mut hasher = self.hasher("function");
        isa::hash(isa, &mut hasher);
        settings.hash(&mut hasher);
        for name in func.params.user_named_funcs().values() {
            kind_of_name(name).hash(&mut hasher);
        }
        func.stencil.hash(&mut hasher);
        Digest(hasher.into_hash())
    }

    /// Hashes the body of a function.
    pub(crate) fn body_digest(&self, body: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.secret.0, body)
    }

    /// Hashes everything that the machine code of each function of a program may depend on, except
    /// for its body. `None` if `inputs` have a form that cannot be hashed.
    pub(crate) fn program_digest(
        &self,
        isas: [&dyn TargetIsa; 2],
        inputs: &impl Serialize,
    ) -> Option<ProgramDigest> {
        let mut hasher = self.hasher("program");
        for isa in isas {
            isa::hash(isa, &mut hasher);
        }
        postcard::to_io(inputs, &mut hasher).ok()?;
        Some(ProgramDigest(Digest(hasher.into_hash())))
    }

    /// Starts a hash of this kind of entry.
    fn hasher(&self, kind: &str) -> Buffered {
        let mut hasher = Buffered {
            hasher: blake3::Hasher::new_keyed(&self.secret.0),
            buffer: Vec::with_capacity(BUFFER),
        };
        kind.hash(&mut hasher);
        // Nothing that follows has the version of the code generator.
        cranelift_codegen::VERSION.hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        hasher
    }

    /// Returns the function that was kept under `digest`.
    pub(crate) fn get(&self, digest: &Digest) -> Option<UnboundFunction> {
        self.read(digest, UnboundFunction::decode)
    }

    /// Keeps `function` under `digest`. Returns whether it is kept.
    pub(crate) fn insert(&self, digest: &Digest, function: &UnboundFunction) -> bool {
        function
            .encode()
            .is_some_and(|bytes| self.write(digest, bytes))
    }

    /// Returns the functions of the program that was compiled last under `digest`.
    pub(crate) fn list(&self, digest: &ProgramDigest) -> Option<Vec<Kept>> {
        self.read(&digest.0, |bytes| postcard::from_bytes(bytes).ok())
    }

    /// Keeps the list of a program's functions.
    pub(crate) fn insert_list(&self, digest: &ProgramDigest, functions: &[Kept]) {
        if let Ok(bytes) = postcard::to_stdvec(functions) {
            self.write(&digest.0, bytes);
        }
    }

    fn read<T>(&self, digest: &Digest, decode: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let value = self.store.get(digest.0.as_bytes())?;
        let (bytes, tag) = value.split_last_chunk::<HASH_SIZE>()?;
        // Comparing hashes takes the same time wherever they differ.
        let is_own = self.tag(digest, bytes) == blake3::Hash::from_bytes(*tag);
        is_own.then(|| decode(bytes)).flatten()
    }

    fn write(&self, digest: &Digest, mut bytes: Vec<u8>) -> bool {
        let tag = self.tag(digest, &bytes);
        bytes.extend_from_slice(tag.as_bytes());
        self.store.insert(digest.0.as_bytes(), bytes)
    }

    fn tag(&self, digest: &Digest, bytes: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret.0);
        hasher.update(bytes);
        hasher.update(digest.0.as_bytes());
        hasher.finalize()
    }
}

/// Returns the part of a name that machine code and its tables depend on. Builtins are the same
/// ones in all programs, and some are treated specially.
fn kind_of_name(name: &UserExternalName) -> (u32, u32) {
    match FuncKey::from_parts(name.namespace, name.index) {
        Some(FuncKey::Builtin(builtin)) => (1, builtin.as_u32()),
        Some(_) => (2, 0),
        None => (3, 0),
    }
}

/// The size in bytes of the pieces that are hashed.
const BUFFER: usize = 16 << 10;

/// Joins the many small pieces of a value to larger ones, which are faster to hash.
struct Buffered {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
}

impl Buffered {
    fn into_hash(mut self) -> blake3::Hash {
        self.hasher.update(&self.buffer);
        self.hasher.finalize()
    }
}

impl Hasher for Buffered {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("`into_hash` ends the hash")
    }
}

impl io::Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Hasher::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
