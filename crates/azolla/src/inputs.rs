//! What a task takes from other tasks: one future, several, or a slice of them.

use crate::cell::{Task, Typed};
use crate::future::{Future, Value};
use crate::runtime::Engine;
use std::sync::Arc;

/// Futures whose results a task needs: `&Future<A>`, a tuple of such references, or
/// `&[Future<A>]`. The closure sees `&A`, a tuple of references, or `Vec<&A>`.
pub trait Inputs: sealed::Sealed {
    /// What the closure is called with.
    type Values<'a>;

    /// What a closure is called with that makes a future of it: [`Value`]s in place of references.
    type Owned: Send + 'static;

    /// What keeps the results until then.
    #[doc(hidden)]
    type Held: Send + 'static;

    #[doc(hidden)]
    fn hold(&self) -> Self::Held;

    /// To be read only once the results are there.
    #[doc(hidden)]
    fn own(&self) -> Self::Owned;

    #[doc(hidden)]
    fn visit(&self, visitor: &mut Visitor<'_>);

    #[doc(hidden)]
    fn values(held: &Self::Held) -> Self::Values<'_>;
}

/// Is shown each input, with the engine that it belongs to.
#[doc(hidden)]
pub(crate) type Visitor<'a> = dyn FnMut(&Arc<Engine<dyn Task>>, Arc<dyn Task>) + 'a;

mod sealed {
    pub trait Sealed {}
}

/// A task that will have its result when this is asked for it.
#[doc(hidden)]
pub struct Held<T>(Arc<dyn Typed<T>>);

impl<T> Held<T> {
    fn value(&self) -> &T {
        self.0.value().expect("a task begins only once all its inputs have results")
    }
}

impl<T> sealed::Sealed for &Future<T> {}

impl<T: Send + Sync + 'static> Inputs for &Future<T> {
    type Values<'a> = &'a T;
    type Owned = Value<T>;
    type Held = Held<T>;

    fn own(&self) -> Value<T> {
        Value((*self).clone())
    }

    fn hold(&self) -> Held<T> {
        Held(self.cell())
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor(self.engine(), self.cell());
    }

    fn values(held: &Held<T>) -> &T {
        held.value()
    }
}

impl<T> sealed::Sealed for &[Future<T>] {}

impl<T: Send + Sync + 'static> Inputs for &[Future<T>] {
    type Values<'a> = Vec<&'a T>;
    type Owned = Vec<Value<T>>;
    type Held = Vec<Held<T>>;

    fn own(&self) -> Vec<Value<T>> {
        self.iter().map(|future| Value(future.clone())).collect()
    }

    fn hold(&self) -> Vec<Held<T>> {
        self.iter().map(|future| Held(future.cell())).collect()
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        for future in *self {
            (&future).visit(visitor);
        }
    }

    fn values(held: &Vec<Held<T>>) -> Vec<&T> {
        held.iter().map(Held::value).collect()
    }
}

impl<T> sealed::Sealed for &Vec<Future<T>> {}

impl<T: Send + Sync + 'static> Inputs for &Vec<Future<T>> {
    type Values<'a> = Vec<&'a T>;
    type Owned = Vec<Value<T>>;
    type Held = Vec<Held<T>>;

    fn own(&self) -> Vec<Value<T>> {
        self.as_slice().own()
    }

    fn hold(&self) -> Vec<Held<T>> {
        self.as_slice().hold()
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        self.as_slice().visit(visitor);
    }

    fn values(held: &Vec<Held<T>>) -> Vec<&T> {
        <&[Future<T>]>::values(held)
    }
}

impl sealed::Sealed for () {}

impl Inputs for () {
    type Values<'a> = ();
    type Owned = ();
    type Held = ();

    fn own(&self) {}

    fn hold(&self) {}

    fn visit(&self, _: &mut Visitor<'_>) {}

    fn values(_: &()) {}
}

macro_rules! tuples {
    ($($name:ident $at:tt),+) => {
        impl<$($name: Inputs),+> sealed::Sealed for ($($name,)+) {}

        impl<$($name: Inputs),+> Inputs for ($($name,)+) {
            type Values<'a> = ($($name::Values<'a>,)+);
            type Owned = ($($name::Owned,)+);
            type Held = ($($name::Held,)+);

            fn own(&self) -> Self::Owned {
                ($(self.$at.own(),)+)
            }

            fn hold(&self) -> Self::Held {
                ($(self.$at.hold(),)+)
            }

            fn visit(&self, visitor: &mut Visitor<'_>) {
                $(self.$at.visit(visitor);)+
            }

            fn values(held: &Self::Held) -> Self::Values<'_> {
                ($($name::values(&held.$at),)+)
            }
        }
    };
}

tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
