//! Any message of any type, drawn from random bytes: what the type derives to be read with says what can be in it.

use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use std::fmt;

/// Returns a message that these bytes say.
pub(crate) fn drawn<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> T {
    T::deserialize(&mut Drawn(bytes)).expect("any bytes say some message")
}

/// The bytes that are left. When none are, the rest of the message is as small as it can be.
struct Drawn<'a>(&'a [u8]);

/// There is none.
#[derive(Debug)]
pub(crate) struct Never(String);

impl<'a> Drawn<'a> {
    fn number<const N: usize>(&mut self) -> [u8; N] {
        let mut number = [0; N];
        let taken = self.take(N);
        number[..taken.len()].copy_from_slice(taken);
        number
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes(self.number())) % end
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(length.min(self.0.len()));
        self.0 = left;
        taken
    }

    /// Some bytes, mostly few.
    fn several(&mut self) -> &'a [u8] {
        let length = if self.below(4) == 0 { self.below(300) } else { self.below(20) };
        self.take(length)
    }
}

/// What texts are parts of.
const TEXT: &str = "a key, é, 名, 🜲, \0 and \n";

macro_rules! numbers {
    ($($read:ident $visit:ident $type:ty),*) => {$(
        fn $read<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Never> {
            // Small numbers take another form on the wire than large ones.
            let number = <$type>::from_le_bytes(self.number());
            let shift = self.below(size_of::<$type>() * 8);
            visitor.$visit(number >> shift)
        }
    )*};
}

impl<'a> Deserializer<'a> for &mut Drawn<'a> {
    type Error = Never;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'a>>(self, _: V) -> Result<V::Value, Never> {
        Err(Never("a message says of itself what is in it".into()))
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Never> {
        visitor.visit_bool(self.below(2) == 1)
    }

    numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_u128 visit_u128 u128
    }

    fn deserialize_f64<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Never> {
        visitor.visit_f64(self.below(1000) as f64 / 7.0)
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Never> {
        let ends: Vec<_> = TEXT.char_indices().map(|(at, _)| at).chain([TEXT.len()]).collect();
        let (one, other) = (ends[self.below(ends.len())], ends[self.below(ends.len())]);
        visitor.visit_borrowed_str(&TEXT[one.min(other)..one.max(other)])
    }

    fn deserialize_bytes<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Never> {
        visitor.visit_borrowed_bytes(self.several())
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Never> {
        if self.below(2) == 0 { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Never> {
        let length = self.below(4);
        visitor.visit_seq(Parts(self, length))
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Never> {
        let length = self.below(4);
        visitor.visit_map(Parts(self, length))
    }

    fn deserialize_tuple<V: Visitor<'a>>(
        self,
        parts: usize,
        visitor: V,
    ) -> Result<V::Value, Never> {
        visitor.visit_seq(Parts(self, parts))
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Never> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Never> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Never> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        parts: usize,
        visitor: V,
    ) -> Result<V::Value, Never> {
        visitor.visit_seq(Parts(self, parts))
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Never> {
        visitor.visit_seq(Parts(self, fields.len()))
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Never> {
        let variant = self.below(variants.len()) as u32;
        visitor.visit_enum(Variant(self, variant))
    }

    forward_to_deserialize_any! { <W: Visitor<'a>> f32 char string byte_buf identifier ignored_any }
}

/// So many parts of a message.
struct Parts<'d, 'a>(&'d mut Drawn<'a>, usize);

impl<'a> SeqAccess<'a> for Parts<'_, 'a> {
    type Error = Never;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Never> {
        let Some(left) = self.1.checked_sub(1) else { return Ok(None) };
        self.1 = left;
        seed.deserialize(&mut *self.0).map(Some)
    }
}

impl<'a> MapAccess<'a> for Parts<'_, 'a> {
    type Error = Never;

    fn next_key_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Never> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Never> {
        seed.deserialize(&mut *self.0)
    }
}

/// A variant of an enum.
struct Variant<'d, 'a>(&'d mut Drawn<'a>, u32);

impl<'a> EnumAccess<'a> for Variant<'_, 'a> {
    type Error = Never;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<(S::Value, Self), Never> {
        let variant: U32Deserializer<Never> = self.1.into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'a> VariantAccess<'a> for Variant<'_, 'a> {
    type Error = Never;

    fn unit_variant(self) -> Result<(), Never> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value, Never> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'a>>(self, parts: usize, visitor: V) -> Result<V::Value, Never> {
        visitor.visit_seq(Parts(self.0, parts))
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Never> {
        visitor.visit_seq(Parts(self.0, fields.len()))
    }
}

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Never {}

impl serde::de::Error for Never {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}
