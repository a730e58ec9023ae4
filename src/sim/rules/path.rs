//! Path: where in an object a value is, written out only when somebody has to be told.

use std::fmt;

/// The way to a value, as a list that lives on the stack of whoever walks through the object.
#[derive(Debug, Clone, Copy)]
pub enum Path<'a> {
    /// The object itself.
    Whole,
    /// A field.
    Field(&'a Self, &'a str),
    /// An item of a list.
    Item(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Field(Self::Whole, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
