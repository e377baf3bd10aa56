//! Keys, types, Canonical ABI arithmetic and slab layout shared by every phase of Mintage.
