//! `Bytes` and `BytesMut` of the crate `bytes`, which are lists of bytes.

use super::list::{forward, lift_from};
use super::{
    CanonicalAbi, ComponentType, InstanceTypes, InterfaceType, Lift, LiftContext, Lower,
    LowerContext,
};
use crate::error::Result;
use ::bytes::{Bytes, BytesMut};

forward!([] Bytes => [u8]);
forward!([] BytesMut => [u8]);

lift_from!([] Bytes, Vec<u8>);
lift_from!([] BytesMut, Bytes);
