//! The bytes that a result takes, where its type tells, for dashboards.

use std::any::Any;

/// `None`: it may own things of which nothing is known here.
pub(crate) fn bytes_of<T: 'static>(value: &T) -> Option<u64> {
    // What has nothing to drop owns nothing beyond itself.
    let beyond = if std::mem::needs_drop::<T>() { beyond(value)? } else { 0 };
    Some((size_of::<T>() + beyond) as u64)
}

/// What a text or a vector of plain values has allocated.
fn beyond(value: &dyn Any) -> Option<usize> {
    macro_rules! vectors {
        ($($item:ty)*) => {
            $(if let Some(items) = value.downcast_ref::<Vec<$item>>() {
                return Some(items.capacity() * size_of::<$item>());
            })*
        };
    }
    if let Some(text) = value.downcast_ref::<String>() {
        return Some(text.capacity());
    }
    if let Some(texts) = value.downcast_ref::<Vec<String>>() {
        let own = texts.capacity() * size_of::<String>();
        return Some(own + texts.iter().map(String::capacity).sum::<usize>());
    }
    vectors!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char);
    None
}

#[cfg(test)]
mod tests {
    use super::bytes_of;
    use std::rc::Rc;

    #[test]
    fn what_owns_nothing_is_as_big_as_its_type() {
        assert_eq!(bytes_of(&7_u64), Some(8));
        assert_eq!(bytes_of(&[1.5_f32; 100]), Some(400));
    }

    #[test]
    fn what_a_vector_has_allocated_counts() {
        let header = size_of::<Vec<f64>>() as u64;
        assert_eq!(bytes_of(&vec![0.0_f64; 1000]), Some(header + 8000));
        assert_eq!(bytes_of(&String::from("fern")), Some(header + 4));
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        assert_eq!(bytes_of(&Rc::new(1)), None);
    }
}
