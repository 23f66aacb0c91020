//! ims
